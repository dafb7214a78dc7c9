"""The track of an object in a job, with as few keyframes as possible."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from promptable.cvat.geometry.keyframes import polygon_keyframes, rectangle_keyframes
from promptable.cvat.geometry.outlines import DECIMALS
from promptable.cvat.geometry.position import POLYGON, RECTANGLE, Position, position_at
from promptable.cvat.propagate.changes.job_part import JobPart
from promptable.cvat.propagate.changes.keyframe import keyframe
from promptable.cvat.propagate.objects import held_values

_RECTANGLE_IOU = 0.95
"""The least IoU of interpolated rectangles with those that were found, unless options say another."""

Stretch = Sequence[tuple[int, Position]]
"""Consecutive followed frames on which an object is seen, with its positions."""


def track_of(part: JobPart, keyframe_iou: float | None) -> dict[str, Any]:
    """The track as CVAT's REST API takes it. ``keyframe_iou`` is that of ``Options``."""
    item = part.object.item
    keys = {key["frame"]: key for key in _keyframes(part, keyframe_iou)} | dict(part.fixed)
    ordered = [keys[frame] for frame in sorted(keys)]
    if part.track is None or ordered[0]["frame"] not in part.kept:  # else the first keyframe has its attributes already
        values = held_values(item, part.object.frame)["attributes"]
        ordered[0] = {**ordered[0], "attributes": [one for one in values if one["spec_id"] in part.mutable]}
    return {
        "frame": ordered[0]["frame"],
        "label_id": item["label_id"],
        "group": part.group,
        "source": part.source,
        "attributes": [one for one in item["attributes"] if one["spec_id"] not in part.mutable],
        "shapes": ordered,
    }


def written_frames(part: JobPart, track: Mapping[str, Any]) -> list[int]:
    """The frames of the keyframes of ``track_of`` that the run writes."""
    return [key["frame"] for key in track["shapes"] if key["frame"] not in part.unwritten_frames]


def _keyframes(part: JobPart, keyframe_iou: float | None) -> Iterator[dict[str, Any]]:
    """The keyframes of each stretch, and an outside one behind it.

    The outside one has the last position of the stretch, since CVAT interpolates towards it.
    """
    held = held_values(part.object.item, part.object.frame)
    for stretch in _stretches(part):
        for frame, position in _thinned(stretch, part.object.form, keyframe_iou):
            yield keyframe(held, frame, position)
        last, position = stretch[-1]
        if (end := _closing_frame(part, last)) is not None:
            yield keyframe(held, end, position, outside=True)


def _stretches(part: JobPart) -> Iterator[Stretch]:
    """The stretches on which the object is seen. A fixed keyframe, also one on a deleted frame, begins a new one."""
    fixed = sorted(part.fixed)
    stretch: list[tuple[int, Position]] = []
    for frame in part.followed:
        position = part.seen_on(frame)
        if stretch and (position is None or bisect(fixed, stretch[-1][0]) < bisect(fixed, frame)):
            yield stretch
            stretch = []
        if position is not None:
            stretch.append((frame, position))
    if stretch:
        yield stretch


def _thinned(stretch: Stretch, form: str, keyframe_iou: float | None) -> Iterator[tuple[int, Position]]:
    """The keyframes of a stretch. A rotated rectangle is always one: the tracker answers upright ones around it."""
    rotated = next((i for i, (_, position) in enumerate(stretch) if position.rotation), None)
    if rotated is not None:
        if rotated:
            yield from _thinned(stretch[:rotated], form, keyframe_iou)
        yield stretch[rotated]
        if stretch[rotated + 1 :]:
            yield from _thinned(stretch[rotated + 1 :], form, keyframe_iou)
        return
    frames = np.array([frame for frame, _ in stretch])
    if form == RECTANGLE:
        boxes = np.array([position.points for _, position in stretch])
        kept = rectangle_keyframes(frames, boxes, _RECTANGLE_IOU if keyframe_iou is None else keyframe_iou)
        yield from (stretch[index] for index in kept)
    elif keyframe_iou is None:
        yield from stretch
    else:
        for index, outline in polygon_keyframes(frames, [position.outline for _, position in stretch], keyframe_iou):
            yield stretch[index][0], Position(POLYGON, tuple(np.round(outline, DECIMALS).ravel().tolist()))


def _closing_frame(part: JobPart, last: int) -> int | None:
    """The frame on which an outside keyframe ends the stretch that is seen up to ``last``; None if it needs none."""
    later = next((frame for frame in part.followed if frame > last), None)
    end = last + 1 if later is None else later
    if end not in part.frames or end in part.fixed:
        return None  # the job ends there, or a fixed keyframe says where the object is
    if later is None and any(frame > last for frame in part.fixed):
        return None  # the object goes on to a keyframe behind the followed frames
    if part.track is not None and position_at(part.track, end) is None:
        return end  # the track ended there before
    if later is None and part.stays_open:
        return None  # the track goes on behind the followed frames as it did
    if part.track is not None and last in part.fixed and end not in part.found:
        return None  # the object was not looked for there, so the track goes on as it did
    return end
