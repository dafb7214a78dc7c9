"""Which object a single click means, when a model answers with several masks."""

from enum import StrEnum


class Extent(StrEnum):
    """``BEST``: the mask with the highest score; ``WHOLE``: the largest; ``PART``: the smallest that is not empty.

    The size of a mask is its number of pixels in the model's low-res logits.
    """

    BEST = "best"
    WHOLE = "whole"
    PART = "part"
