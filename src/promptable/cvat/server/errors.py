"""What goes wrong between a command and a CVAT server or a function; no cvat-sdk is needed to know it."""

import re


class CvatError(RuntimeError):
    """CVAT or a function cannot be asked, or refuses: the message is a sentence that says what to do.

    ``status`` is the HTTP status that was answered, None where nothing was.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WebPageError(CvatError):
    """A web page came where CVAT answers: something in between answered, and what was asked may have happened."""


def reason_of(error: Exception) -> str:
    """Why a connection failed, in words: the innermost of urllib3's errors, without its objects and numbers."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    if isinstance(inner, Exception):
        return reason_of(inner)
    return re.sub(r"\[Errno -?\d+\] ", "", str(error).rpartition(": ")[2])
