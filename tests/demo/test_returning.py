"""The demo's clips hold what they are there for: objects that cross, and objects that leave and return."""

import numpy as np
import pytest

from demo.returning import crossed, left, there_and_back
from toy.scenes import Scene, SceneObject


def _clip(*columns: tuple[int, int]) -> list[Scene]:
    """Two squares of 20 pixels on a picture of 100, at these columns in each frame; -1 is gone."""
    frames = []
    for places in columns:
        masks = np.zeros((2, 100, 100), bool)
        for mask, column in zip(masks, places, strict=True):
            if column >= 0:
                mask[:20, column : column + 20] = True
        frames.append(Scene(np.zeros((100, 100, 3), np.uint8), tuple(SceneObject("square", mask) for mask in masks)))
    return frames


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([(0, 60), (30, 51), (60, 0)], [True, True]),
        ([(0, 60), (30, 53), (60, 30)], [False, False]),
        ([(0, 21), (0, 60)], [False, False]),
    ],
    ids=["past one another", "never close", "apart from the start"],
)
def test_who_crosses(columns: list[tuple[int, int]], expected: list[bool]) -> None:
    assert crossed(_clip(*columns)) == expected


def test_who_leaves() -> None:
    assert left(_clip((0, 60), (-1, 60), (0, 60))) == [True, False]


@pytest.mark.parametrize("seed", [10_000_000, 40_000_000])
def test_a_clip_has_objects_that_cross_and_objects_that_leave_and_return(seed: int) -> None:
    clip = there_and_back(seed)
    assert any(crossed(clip))
    assert any(left(clip))
    assert all(thing.mask.any() for thing in clip[-1].objects)
