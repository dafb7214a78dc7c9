"""Settings of a process that runs models on the CPU: memory and threads."""

import ctypes
import platform
from collections.abc import Sequence
from pathlib import Path

from promptable.models.runtime.threads import choose_threads

# mallopt(3), and the numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_NEVER = 2**31 - 1
_LARGE_BYTES = 2**30


def prepare(weights: Sequence[Path]) -> None:
    """Set up this process to run models on the CPU; ``weights`` are the files of their checkpoints."""
    keep_freed_memory()
    choose_threads(weights)


def keep_freed_memory() -> None:
    """Let malloc keep freed memory for the next tensors, instead of giving it back to the system.

    Otherwise every tensor of more than 32 MB gets new pages, and the kernel zeroes each of these pages. The memory of
    tensors of 1 GiB and more is still given back. All threads share one arena, because the arenas of other threads
    cannot grow beyond 64 MB. On a system without glibc this function does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _NEVER), (_M_ARENA_MAX, 1)):
        libc.mallopt(option, value)
