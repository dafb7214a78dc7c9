"""Work on many things at once, but no more than there is memory for."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from promptable.errors import OutOfMemoryError
from promptable.models.runtime.out_of_memory import naming_out_of_memory

T = TypeVar("T")
R = TypeVar("R")


def in_batches(
    items: Sequence[T], run: Callable[[list[T]], Sequence[R]], most: int, alike: Callable[[T], Hashable] = type
) -> list[R]:
    """The results of ``run`` for all items, in their order. It gets up to ``most`` at once, all of them ``alike``.

    Where memory runs out it gets half as many. Raises OutOfMemoryError where there is too little for one.
    """
    results: dict[int, R] = {}
    for kind in dict.fromkeys(map(alike, items)):
        waiting = [number for number, item in enumerate(items) if alike(item) == kind]
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
