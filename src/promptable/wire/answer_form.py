"""The interactor's two forms of an answer."""

from enum import StrEnum


class AnswerForm(StrEnum):
    """``SHAPES`` for CVAT 2.62 and later; ``MASK`` for every version, but large: the full picture as 0 and 1."""

    SHAPES = "shapes"
    MASK = "mask"
