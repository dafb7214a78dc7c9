"""CVAT's interpolation as functions of ours, and the keyframes that are kept for it."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptable.cvat.geometry import interpolation
from promptable.cvat.geometry.keyframes import box_iou, polygon_keyframes, rectangle_keyframes
from promptable.cvat.geometry.outlines import box_of, equidistant, points_of, polygon_iou
from toy.scenes import Sprite, outline_of

EXPORTED = json.loads((Path(__file__).with_name("recordings") / "interpolated.json").read_text())
"""Keyframes written into CVAT 2.73, and what its export "CVAT for images" shows on every frame."""


def _between(track: dict[str, Any], frame: int) -> tuple[dict[str, Any], dict[str, Any], float]:
    """The keyframes around a frame that is none, and how far it lies between them."""
    numbers = [key["frame"] for key in track["keyframes"]]
    right = next(i for i, number in enumerate(numbers) if number > frame)
    left_key, right_key = track["keyframes"][right - 1 : right + 1]
    return left_key, right_key, float(interpolation.share(left_key["frame"], right_key["frame"], frame))


def _inner_frames(track: dict[str, Any]) -> list[int]:
    keys = {key["frame"] for key in track["keyframes"]}
    return [int(frame) for frame in track["shown"] if int(frame) not in keys]


@pytest.mark.parametrize("track", EXPORTED[:1])
def test_rectangles_are_what_cvat_exports(track: dict[str, Any]) -> None:
    frames = _inner_frames(track)
    assert frames == [*range(1, 10), 15, 16, 17], "nothing is shown from an outside keyframe on"
    for frame in frames:
        left, right, offset = _between(track, frame)
        shown = track["shown"][str(frame)]
        points = interpolation.rectangle(np.array(left["points"]), np.array(right["points"]), offset)
        np.testing.assert_allclose(points, shown["points"], atol=0.006)
        turned = interpolation.rotation(left["rotation"], right["rotation"], offset)
        assert turned == pytest.approx(shown["rotation"], abs=0.006)


@pytest.mark.parametrize("track", EXPORTED[1:])
def test_polygons_are_what_cvat_exports(track: dict[str, Any]) -> None:
    frames = _inner_frames(track)
    assert len(frames) >= 3
    for frame in frames:
        left, right, offset = _between(track, frame)
        points = interpolation.polygon(points_of(left["points"]), points_of(right["points"]), offset)
        np.testing.assert_allclose(points, points_of(track["shown"][str(frame)]["points"]), atol=0.006)


def test_boxes_on_straight_lines_need_only_the_bends() -> None:
    frames = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 10])  # 3 is deleted
    left = np.where(frames < 6, 10 + 5 * frames, 40 - 3 * (frames - 6))
    boxes = np.stack([left, left, left + 20, left + 30], 1).astype(float)
    assert rectangle_keyframes(frames, boxes, 0.99) == [0, 5, 9]
    assert rectangle_keyframes(frames[:1], boxes[:1], 0.99) == [0]
    assert rectangle_keyframes(frames[:2], boxes[:2], 0.99) == [0, 1]


def test_fewest_and_close_enough() -> None:
    rng = np.random.default_rng(3)
    frames = np.arange(40)
    centre = np.stack([80 + 40 * np.cos(frames / 9), 80 + 30 * np.sin(frames / 7)], 1) + rng.normal(0, 0.3, (40, 2))
    boxes = np.concatenate([centre - 15, centre + 15], 1)
    kept = rectangle_keyframes(frames, boxes, 0.9)
    assert len(kept) <= 13, "a third of all"
    for start, end in pairwise(kept):
        offsets = interpolation.share(start, end, frames[start:end])
        assert (box_iou(interpolation.rectangle(boxes[start], boxes[end], offsets), boxes[start:end]) >= 0.9).all()
    greedy, at = 1, 0
    while at < 39:  # the farthest that fits is not always the best, but never better than the fewest
        at = max(
            end
            for end in range(at + 1, 40)
            if (
                box_iou(
                    interpolation.rectangle(boxes[at], boxes[end], interpolation.share(at, end, frames[at:end])),
                    boxes[at:end],
                )
                >= 0.9
            ).all()
        )
        greedy += 1
    assert len(kept) <= greedy


def _turning(shape: str, frames: int) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Outlines of a shape that turns by 5 degrees a frame; the outline starts anywhere and runs any way."""
    outlines = []
    for i in range(frames):
        corners = outline_of(Sprite("red", shape, (60 + 2 * i, 70), 30.0, np.deg2rad(5 * i), 1.0))
        outlines.append(np.roll(corners[:: (-1) ** i], i, 0))
    return outlines


@pytest.mark.parametrize("shape", ["square", "circle", "star"])
def test_outlines_that_turn_are_found_again_between_their_keyframes(shape: str) -> None:
    outlines = _turning(shape, 16)
    frames = np.arange(100, 116)
    kept = polygon_keyframes(frames, outlines, 0.9)
    assert kept[0][0] == 0
    assert kept[-1][0] == 15
    assert len(kept) <= 8, "half of the frames at most"
    for (start, left), (end, right) in pairwise(kept):
        for i in range(start, end + 1):
            between = interpolation.polygon(left, right, (i - start) / (end - start))
            assert polygon_iou(between, outlines[i]) >= 0.89


def test_equidistant_points_keep_the_form_and_the_direction() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    np.testing.assert_allclose(equidistant(square, 8)[:3], [[0, 0], [5, 0], [10, 0]])
    np.testing.assert_allclose(equidistant(square[::-1], 8)[:2], [[0, 10], [0, 5]])
    assert polygon_iou(equidistant(square, 32), square) == 1
    assert box_of(square).tolist() == [0, 0, 10, 10]
