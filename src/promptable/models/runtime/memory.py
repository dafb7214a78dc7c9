"""What malloc does with freed memory. On a system without glibc these functions do nothing."""

import ctypes
import platform
from functools import cache

# mallopt(3), and the numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_NEVER = 2**31 - 1
_LARGE_BYTES = 2**30


def keep_freed_memory() -> None:
    """Let malloc keep freed memory for the next pictures and tensors, instead of giving it back to the system.

    Otherwise every block of more than 32 MB, and most of some megabytes, get new pages, and the kernel zeroes each of
    these pages: on a GPU's host, decoding a picture takes twice as long. Blocks of 1 GiB and more are still given back.
    All threads share one arena, because the arenas of other threads cannot grow beyond 64 MB.
    """
    if (libc := _glibc()) is not None:
        for option, value in ((_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _NEVER), (_M_ARENA_MAX, 1)):
            libc.mallopt(option, value)


def give_back_freed_memory() -> None:
    """Give the system what malloc has kept so far, such as the place of weights that have gone to a GPU."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
