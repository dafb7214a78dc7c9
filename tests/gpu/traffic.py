"""What crosses between the CPU and a real GPU, counted by PyTorch's profiler and its debug mode for waits."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

R = TypeVar("R")


@dataclass(frozen=True)
class Traffic:
    """Numbers of copies from pinned memory ``to_gpu`` and ``back`` to it, of copies of memory that is not ``pinned``,
    and of ``waits``, where the CPU stands still until the GPU has done all that it was given.
    """

    to_gpu: int
    back: int
    waits: int
    pageable: int = 0


def traffic_of(call: Callable[[], R]) -> tuple[R, Traffic]:
    """The result of ``call``, and its traffic."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        with _waits() as waits:
            result = call()
        torch.cuda.synchronize()
    copies = {event.key: event.count for event in profiled.key_averages() if event.key.startswith("Memcpy ")}

    def count(*words: str) -> int:
        return sum(number for name, number in copies.items() if all(word in name for word in words))

    pageable = count("Pageable")
    to_gpu, back = count("HtoD", "Pinned"), count("DtoH", "Pinned")
    return result, Traffic(to_gpu, back, len(waits), pageable)


@contextmanager
def _waits() -> Iterator[list[str]]:
    """The warnings of PyTorch for each wait inside, to be read afterwards."""
    waits: list[str] = []
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield waits
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits += [f"{one.filename}:{one.lineno}" for one in said if "synchronizing CUDA operation" in str(one.message)]
