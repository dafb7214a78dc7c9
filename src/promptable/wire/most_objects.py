"""How many objects the tracker takes in one request; who sends them reads this too, without what reads pictures."""

MOST_OBJECTS = 256
_MOST_MASK_BYTES = 2**31
"""Of the masks of one answer, a byte a pixel: all 256 fit in 4K, 21 in 100 megapixels."""


def most_objects(hw: tuple[int, int]) -> int:
    """In a picture of height and width ``hw``; at least 1."""
    return max(1, min(MOST_OBJECTS, _MOST_MASK_BYTES // (hw[0] * hw[1])))
