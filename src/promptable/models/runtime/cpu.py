"""What a process sets up before its models run on the CPU."""

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
    """Set up this process for models on the CPU whose checkpoints are these files."""
    keep_freed_memory()
    choose_threads(weights)


def keep_freed_memory() -> None:
    """Let malloc keep what this process has freed, for its next tensors, instead of giving it back to the system.

    Otherwise every tensor of more than 32 MB is made of fresh pages, and the kernel zeroes them one by one. Tensors of
    1 GiB and more still go back. One arena, because those of other threads cannot grow beyond 64 MB. Without glibc
    nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _NEVER), (_M_ARENA_MAX, 1)):
        libc.mallopt(option, value)
