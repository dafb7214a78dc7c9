"""What one lone click means, where a model answers with several masks."""

from enum import StrEnum


class Extent(StrEnum):
    """``BEST``: the mask that the model scores highest; ``WHOLE``: the largest; ``PART``: the smallest not empty.

    Sizes are counted on the grid of the model's low-res logits.
    """

    BEST = "best"
    WHOLE = "whole"
    PART = "part"
