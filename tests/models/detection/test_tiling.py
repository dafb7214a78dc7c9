"""Tiles cover a picture, and objects at their seams come out whole and once."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from promptable.models.detection.detector import PromptScores
from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import LabelRule, Suppression, select
from promptable.models.detection.tiling import Tiling, enlarged, propose, views
from promptable.models.grounding_dino.detector import load
from toy.crowds import crowd, scores

TOY = Path(__file__).parents[3] / "toy/grounding-dino"
_COLOURS = (50, 100, 150, 200)


@dataclass
class Eye:
    """Sees each rectangle of its prompt's gray value as far as it reaches into the picture, like a perfect detector.

    But nothing that would be smaller than ``finest`` pixels once the picture is shrunk to ``resolution``.
    """

    resolution: int = 100
    finest: int = 4
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def detect(self, image: NDArray[np.uint8], prompts: tuple[str, ...], scale: float = 1.0) -> PromptScores:
        self.seen.append((*image.shape[:2], round(100 * scale)))
        boxes, scores = [], []
        for column, prompt in enumerate(prompts):
            rows, columns = np.nonzero(image[..., 0] == int(prompt))
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 0, 0]
            side = max(extent[2] - extent[0], extent[3] - extent[1])
            boxes.append(extent)
            visible = side * self.resolution * scale / max(image.shape[:2]) >= self.finest
            scores.append(np.eye(len(prompts))[column] * (0.9 if visible else 0.1))
        zeros = np.zeros(len(prompts), np.int64)
        return PromptScores(np.array(boxes, np.float32), np.array(scores, np.float32), zeros)


def found(hw: tuple[int, int], things: list[tuple[int, int, int, int]], tiling: Tiling) -> list[list[float]]:
    """Boxes that are answered for rectangles of one label, which the detector can tell apart; sorted."""
    image = np.zeros((*hw, 3), np.uint8)
    for gray, (left, top, right, bottom) in zip(_COLOURS, things, strict=False):
        image[top:bottom, left:right] = gray
    prompts = tuple(str(gray) for gray in _COLOURS)
    eye: Any = Eye()
    proposals = propose(eye, image, prompts, tiling)
    answered = select(proposals, [0] * len(prompts), [LabelRule(0.35)], hw, Suppression())
    return sorted(answered.boxes_xyxy.tolist())


@given(st.integers(1, 400), st.integers(1, 400), st.integers(20, 90), st.floats(0, 0.9))
def test_tiles_cover_the_picture_and_overlap(height: int, width: int, size: int, overlap: float) -> None:
    tiles = views((height, width), Tiling(size, overlap))
    assert (len(tiles) == 0) == (max(height, width) <= size)
    covered = np.zeros((height, width), bool)
    for tile in tiles:
        assert 0 <= tile.left < tile.right <= width
        assert 0 <= tile.top < tile.bottom <= height
        assert (tile.right - tile.left, tile.bottom - tile.top) == (min(size, width), min(size, height))
        covered[tile.top : tile.bottom, tile.left : tile.right] = True
    assert covered.all() or not tiles
    starts = sorted({tile.left for tile in tiles})
    assert all(left + size - right >= overlap * size - 1 for left, right in pairwise(starts))


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(64, 500), st.floats(0, 0.9), st.integers(1, 50))
def test_tiles_grow_until_they_are_few_enough(height: int, width: int, size: int, overlap: float, most: int) -> None:
    tiling = enlarged((height, width), Tiling(size, overlap), most)
    assert len(views((height, width), tiling)) <= most
    assert (tiling.overlap, tiling.whole) == (overlap, True)
    if len(views((height, width), Tiling(size, overlap))) <= most:
        assert tiling.size == size
    else:
        assert len(views((height, width), Tiling(round(tiling.size / 1.1), overlap))) > most, "and no longer"


@given(st.integers(0, 270), st.integers(0, 170), st.integers(6, 25), st.integers(6, 25))
def test_a_small_object_is_found_whole_and_once_wherever_it_lies(left: int, top: int, width: int, height: int) -> None:
    thing = (left, top, left + width, top + height)
    assert found((200, 300), [thing], Tiling(100, 0.3)) == [list(thing)]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("thing", [(20, 20, 180, 60), (10, 10, 290, 190), (60, 5, 90, 195), (0, 0, 300, 200)])
def test_an_object_larger_than_a_tile_is_not_cut_at_the_seams(thing: tuple[int, int, int, int], whole: bool) -> None:
    assert found((200, 300), [thing], Tiling(100, 0.3, whole)) == [list(thing)]


def test_neighbours_of_one_label_are_not_joined() -> None:
    boxes = [[10.0, 10, 30, 30], [70, 10, 85, 30], [86, 10, 99, 30]]
    assert found((200, 300), [(10, 10, 30, 30), (70, 10, 85, 30), (86, 10, 99, 30)], Tiling(100, 0.3)) == boxes


def test_small_objects_are_found_in_tiles_only_and_large_ones_in_the_whole_picture() -> None:
    small, large = (40, 40, 50, 50), (400, 300, 900, 650)
    assert found((700, 1000), [small, large], Tiling()) == [list(large)]
    assert found((700, 1000), [small, large], Tiling(100, 0.3)) == [list(small), list(large)]


def test_a_picture_no_larger_than_a_tile_is_looked_at_once() -> None:
    eye: Any = Eye()
    propose(eye, np.zeros((80, 100, 3), np.uint8), ("50",), Tiling(100, 0.3, whole=False))
    assert eye.seen == [(80, 100, 100)]


def test_every_look_is_as_large_as_asked_for() -> None:
    eye: Any = Eye()
    propose(eye, np.zeros((100, 170, 3), np.uint8), ("50",), Tiling(100, 0.3), scale=0.5)
    assert eye.seen == [(100, 100, 50), (100, 100, 50), (100, 170, 50)]


def test_tiles_find_several_times_as_many_objects_at_the_same_precision() -> None:
    """In the whole picture the toy detector can see only the large objects: to it a small one is 4 to 7 pixels wide.

    Measured at length by toy/evaluate_tiling.py.
    """
    detector = load(str(TOY), TOY, "cpu")
    crowds = [crowd(seed, (720, 1280), large=3, small=20) for seed in (40_000_000, 40_000_001)]
    (whole,) = scores(detector, crowds, Tiling(), [0.35])
    (tiled,) = scores(detector, crowds, Tiling(160, 0.25), [0.35])
    assert whole.recall > 0.1
    assert tiled.recall >= 3 * whole.recall
    assert abs(tiled.precision - whole.precision) <= 0.05


@pytest.mark.parametrize(
    ("box", "stays"),
    [
        ([120, 120, 150, 150], True),  # no larger than the overlap: a rivet on a ship
        ([120, 120, 170, 150], False),  # larger, and inside
        ([270, 120, 310, 150], True),  # reaching out of it
        ([330, 120, 380, 150], True),  # beside it
        ([100, 100, 290, 200], True),  # most of it: the same thing, seen better
    ],
)
def test_in_a_larger_thing_tiles_answer_for_what_is_no_larger_than_their_overlap(box: list[int], stays: bool) -> None:
    assert (box in _kept(box, LabelRule(0.35))) is stays
    assert box in _kept(box, LabelRule(0.35, max_area=0.05)), "no part of what is itself too large"
    assert box in _kept(box, LabelRule(0.35, shape=False)), "nor of what a tag stands for"


def _kept(box: list[int], rule: LabelRule) -> list[list[float]]:
    """What is answered where the whole picture's look finds a thing by ``rule`` and a tile this box."""
    boxes = np.array([[100, 100, 300, 200], box], np.float32)
    beyond = np.array([False, max(box[2] - box[0], box[3] - box[1]) > 30])
    prompts, cut = np.array([0, 1]), np.zeros((2, 4), bool)
    none = np.zeros((2, 0), np.int16), np.zeros((2, 0), np.float32)
    proposals = Proposals(boxes, prompts, np.array([0.5, 0.6], np.float32), np.zeros(2, np.int64), cut, beyond, *none)
    return select(proposals, [0, 1], [rule, LabelRule(0.35)], (400, 400), Suppression()).boxes_xyxy.tolist()
