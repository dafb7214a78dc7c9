"""Masks of a size that no picture has: CVAT's server stores what scripts send."""

import tracemalloc
from collections.abc import Iterator

import pytest

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import MASK, POLYGON, Position

HUGE = 2**15
SMALL = (0, 4, 0, 0, 1, 1)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize("box", [(0, 0, HUGE - 1, HUGE - 1), (0, 0, 0, 2**29 - 1), (0, 0, 2**29 - 1, 0)])
def test_they_are_no_masks(box: tuple[int, int, int, int]) -> None:
    points = (0, (box[2] + 1) * (box[3] + 1), *box)
    for read in (run_lengths.decode, run_lengths.area, lambda one: run_lengths.iou(one, SMALL)):
        with pytest.raises(ValueError, match="larger than any picture"):
            read(points)


def test_beside_an_outline_larger_than_any_picture_the_boxes_count() -> None:
    outline = Position(POLYGON, (0, 0, HUGE, 0, HUGE, HUGE, 0, HUGE))
    assert iou(Position(MASK, SMALL), outline) == pytest.approx(4 / HUGE**2)
