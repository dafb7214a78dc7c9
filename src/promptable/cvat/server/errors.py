"""Errors between a command and a CVAT server or a function. This module does not import cvat-sdk."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


class CvatError(RuntimeError):
    """CVAT or a function cannot be reached, or refuses a request. The message is a sentence that says what to do.

    ``status`` is the HTTP status of the answer, None if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def stored_nothing(self) -> bool:
        """Whether the server answered, and its answer says that nothing of the request was stored."""
        return self.status is not None and self.status < 500


class OptionError(CvatError):
    """Options are wrong by themselves or do not go together, whatever CVAT has."""


class WebPageError(CvatError):
    """The answer was a web page, which CVAT's API never sends: it comes from a proxy or a sign-in page in between.

    CVAT may have carried out the request nevertheless.
    """


@contextmanager
def going_on() -> Iterator[None]:
    """Adds to a CvatError how to go on with the interrupted run: repeat the command."""
    try:
        yield
    except CvatError as error:
        kept = "What was done is kept: the same command goes on from there"
        raise CvatError(f"{_ended(str(error))} {kept}", error.status) from error


def _ended(text: str) -> str:
    """The text with a full stop, unless it ends a sentence already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def reason_of(error: Exception) -> str:
    """Why a connection failed, in words: the message of urllib3's innermost error, without object and error numbers."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    if isinstance(inner, Exception):
        return reason_of(inner)
    return re.sub(r"\[Errno -?\d+\] ", "", str(error).rpartition(": ")[2])
