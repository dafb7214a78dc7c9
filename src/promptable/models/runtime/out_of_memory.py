"""What is done where memory runs out: one error for it, fewer things at once, and ways that need less."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def naming_out_of_memory() -> Iterator[None]:
    """Raise OutOfMemoryError for what failed inside for want of memory, once the GPU's cached memory is given back."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(text in str(error) for text in _MESSAGES):
            raise
        message = str(error)
    else:
        return
    torch.cuda.empty_cache()  # outside the handler: the error's traceback holds the failed call's tensors
    raise OutOfMemoryError(f"not enough memory: {message}")


def in_batches(items: Sequence[T], run: Callable[[list[T]], Sequence[R]], most: int) -> list[R]:
    """The results of ``run`` for all items, in their order. It gets up to ``most`` at once, all of them of one type.

    Where memory runs out it gets half as many. Raises OutOfMemoryError where there is too little for one.
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
    """The result of the first attempt that has enough memory; each has a name for the log.

    Raises the last attempt's OutOfMemoryError, ValueError where there are no attempts.
    """
    failure: Exception = ValueError("there is nothing to attempt")
    for name, attempt in attempts:
        try:
            return attempt()
        except OutOfMemoryError as error:
            _log.warning("not enough memory for %s: %s", name, error)
            failure = error.with_traceback(None)  # which holds the tensors of the failed call
    raise failure
