"""Where a JPEG's scans may begin, and how many there may be: each of several is decoded over the whole picture."""

import numpy as np
from numpy.typing import NDArray

from promptable.wire.images.broken import over_bound

MOST_SCANNED_MEGAPIXELS = 2000
"""The limit of scans times megapixels: for a picture with 20 scans, 100 megapixels."""

_SCAN = int.from_bytes(b"\xff\xda", "little")


def count(data: bytes, first: int = 0) -> int:
    """How many markers of scans there are from the position ``first`` on; several times as fast as ``bytes.count``."""
    return sum(int(np.count_nonzero(each == _SCAN)) for each in _pairs(data, first))


def places(data: bytes) -> NDArray[np.int64]:
    """Where these markers are, int64 [N], in order."""
    found = [2 * np.flatnonzero(each == _SCAN) + odd for odd, each in enumerate(_pairs(data, 0))]
    return np.sort(np.concatenate(found))


def check_scanned(kind: str, pixels: float) -> None:
    """Raise BadRequestError for too many ``pixels`` in all scans of the JPEGs that have several."""
    if pixels > MOST_SCANNED_MEGAPIXELS * 1e6:
        raise over_bound(kind, f"{MOST_SCANNED_MEGAPIXELS} megapixels in all of its scans", f"{pixels / 1e6:.0f}")


def _pairs(data: bytes, first: int) -> list[NDArray[np.uint16]]:
    """The bytes in twos, from an even position on and from an odd one."""
    return [np.frombuffer(data, "<u2", max(len(data) - at, 0) // 2, at) for at in (first, first + 1) if at < len(data)]
