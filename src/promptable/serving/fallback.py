"""Try with less, where there was not enough memory."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from promptable.errors import OutOfMemoryError

T = TypeVar("T")


def first_that_fits(attempts: Iterable[tuple[str, Callable[[], T]]], logger: Any) -> T:
    """The result of the first attempt that has enough memory; each has a name for the log.

    ``logger`` is nuclio-sdk's. Raises the last attempt's OutOfMemoryError, ValueError where there are no attempts.
    """
    failure: Exception = ValueError("there is nothing to attempt")
    for name, attempt in attempts:
        try:
            return attempt()
        except OutOfMemoryError as error:
            logger.warn_with("not enough memory", attempt=name, reason=str(error))
            failure = error.with_traceback(None)  # which holds the tensors of the failed call
    raise failure
