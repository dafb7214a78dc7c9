"""The package logs through the standard library; in a function, nuclio-sdk's logger writes it."""

import logging
import traceback
from typing import Any

_PACKAGE = logging.getLogger("promptable")


def log_to(logger: Any) -> None:
    """Pass what the package logs, from level info on, to this logger of nuclio-sdk, and to no other."""
    _PACKAGE.handlers = [_ToNuclio(logger)]
    _PACKAGE.setLevel(logging.INFO)


class _ToNuclio(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._methods = {logging.INFO: logger.info_with, logging.WARNING: logger.warn_with}
        self._error = logger.error_with

    def emit(self, record: logging.LogRecord) -> None:
        """Nuclio shows the keyword values of a record beside its message."""
        trace = {"traceback": "".join(traceback.format_exception(*record.exc_info))} if record.exc_info else {}
        self._methods.get(record.levelno, self._error)(record.getMessage(), **trace)
