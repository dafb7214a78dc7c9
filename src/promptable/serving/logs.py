"""The package logs with the standard ``logging``; inside a function, these records go to nuclio-sdk's logger."""

import logging
import traceback
from typing import Any

_PACKAGE = logging.getLogger("promptable")


def log_to(logger: Any) -> None:
    """Send the package's log records of level info and above to this logger of nuclio-sdk, and to no other handler."""
    _PACKAGE.handlers = [_ToNuclio(logger)]
    _PACKAGE.setLevel(logging.INFO)


class _ToNuclio(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._methods = {logging.INFO: logger.info_with, logging.WARNING: logger.warn_with}
        self._error = logger.error_with

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; Nuclio shows the keyword arguments (the traceback) beside the message."""
        trace = {"traceback": "".join(traceback.format_exception(*record.exc_info))} if record.exc_info else {}
        self._methods.get(record.levelno, self._error)(record.getMessage(), **trace)
