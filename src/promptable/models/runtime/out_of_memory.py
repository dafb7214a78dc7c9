"""Handling of a lack of memory: one error for all its forms, smaller batches, and other ways that need less memory."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from traceback import clear_frames
from typing import TypeVar

import torch

from promptable.errors import OutOfMemoryError

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_MESSAGES = (
    "out of memory",  # CUDA
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
)


def means_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python or PyTorch, means a lack of memory."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _MESSAGES)


@contextmanager
def naming_out_of_memory() -> Iterator[None]:
    """Turn errors of the code inside that mean a lack of memory into OutOfMemoryError; first free what it has taken."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not means_out_of_memory(error):
            raise
        clear_frames(error.__traceback__)  # their variables hold the failed call's tensors, as long as the error lives
        torch.cuda.empty_cache()
        raise OutOfMemoryError(f"not enough memory: {error}".removesuffix(": ")) from None


def in_batches(items: Sequence[T], run: Callable[[list[T]], Sequence[R]], most: int) -> list[R]:
    """The results of ``run`` for all items, in the order of the items.

    Each call of ``run`` gets up to ``most`` items, all of one type. If memory runs out, later calls get half as many.
    Raises OutOfMemoryError if memory is too small for one item.
    """
    results: dict[int, R] = {}
    for kind in dict.fromkeys(map(type, items)):
        waiting = [number for number, item in enumerate(items) if type(item) is kind]
        while waiting:
            batch = waiting[:most]
            try:
                with naming_out_of_memory():
                    results.update(zip(batch, run([items[number] for number in batch]), strict=True))
                waiting = waiting[most:]
            except OutOfMemoryError:
                if len(batch) == 1:
                    raise
                most = len(batch) // 2
    return [results[number] for number in range(len(items))]


def first_that_fits(attempts: Iterable[tuple[str, Callable[[], T]]]) -> T:
    """The result of the first attempt that does not run out of memory; each attempt has a name for the log.

    Raises the last attempt's OutOfMemoryError if all fail, and ValueError if there are no attempts.
    """
    failure: Exception = ValueError("there is nothing to attempt")
    for name, attempt in attempts:
        try:
            with naming_out_of_memory():
                return attempt()
        except OutOfMemoryError as error:
            clear_frames(error.__traceback__)
            _log.warning("not enough memory for %s: %s", name, error)
            failure = error
    raise failure
