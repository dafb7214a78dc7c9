"""What goes wrong between a command and a CVAT server or a function; no cvat-sdk is needed to know it."""

import re


class CvatError(RuntimeError):
    """CVAT or a function cannot be asked, or refuses: the message is a sentence that says what to do.

    ``status`` is the HTTP status that was answered, None where nothing was.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: Exception) -> str:
    """Why a connection failed, in words: the last part of what urllib3 says, without its objects and numbers."""
    said = str(getattr(error, "reason", None) or error)
    return re.sub(r"\[Errno -?\d+\] ", "", said.rpartition(": ")[2])
