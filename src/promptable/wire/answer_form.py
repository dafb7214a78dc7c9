"""The interactor's two forms of an answer."""

from enum import StrEnum


class AnswerForm(StrEnum):
    """``SHAPES``: run lengths, which CVAT 2.60 and later reads. ``MASK``: every pixel of the picture as 0 or 1.

    Every CVAT version reads ``MASK``, but the answer is large.
    """

    SHAPES = "shapes"
    MASK = "mask"
