"""The log of a function's process: nuclio-sdk's logger, written for people."""

import logging
import sys
import traceback
from typing import Any

import nuclio_sdk


class FunctionLogFormatter(logging.Formatter):
    """``12:30:01 info sam-interactor: message key=value``, and a value named traceback on lines of its own."""

    def __init__(self, function: str) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._function = function

    def format(self, record: logging.LogRecord) -> str:
        """One record as text; nuclio-sdk puts the keyword values of a log call into the attribute ``with``."""
        values: dict[str, Any] = dict(getattr(record, "with", {}))
        trace = str(values.pop("traceback", "")).rstrip()
        opening = f"{self.formatTime(record, self.datefmt)} {record.levelname.lower()} {self._function}:"
        words = [opening, record.getMessage(), *(f"{key}={value}" for key, value in values.items())]
        return "\n".join([" ".join(words), trace] if trace else [" ".join(words)])


def function_logger(function: str) -> Any:
    """A nuclio-sdk Logger that writes to this process's stderr, from level info on."""
    logger = nuclio_sdk.Logger(logging.INFO, name=function)
    logger.set_handler("default", sys.stderr, FunctionLogFormatter(function))
    for handler in logging.getLogger(function).handlers:
        handler.setLevel(logging.INFO)  # nuclio-sdk passes every record by its logger's own level
    return logger


def log_failure(logger: Any, message: str, error: BaseException) -> None:
    """Log an error with its traceback."""
    trace = "".join(traceback.format_exception(error))
    logger.error_with(message, error=f"{type(error).__name__}: {error}", traceback=trace)
