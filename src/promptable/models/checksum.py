"""SHA-256 of files, each computed once while the file stays as it is."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex; read once while the file stays as it is."""
    found = file.stat()
    return _sha256_of(file.absolute(), (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=64)
def _sha256_of(file: Path, _as_it_is: tuple[int, int, int]) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def read_meanwhile(file: Path) -> Iterator[None]:
    """While the block runs, a thread hashes the file for a later ``sha256_of``; that brings it into the system's cache.

    Imports in the block are hardly slowed down: reading and hashing release Python's lock.
    """
    with ThreadPoolExecutor(max_workers=1) as beside:
        beside.submit(sha256_of, file)
        yield
