"""What was found of an object, as the annotations of a job: a track of few keyframes, or a mask on every frame."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from promptable.cvat.geometry.keyframes import polygon_keyframes, rectangle_keyframes
from promptable.cvat.geometry.position import MASK, POLYGON, RECTANGLE, Position, position_at, position_of
from promptable.cvat.propagate.content import SHAPE, Written
from promptable.cvat.propagate.objects import Object, held_values

_RECTANGLE_IOU = 0.95
_DECIMALS = 2


@dataclass(frozen=True)
class Part:
    """What a job is given of an object: ``found`` by frame, on the ``followed`` ones; ``frames`` are the job's.

    ``group`` is the object's, ``kept`` are the keyframes of its track here that stay, and ``elsewhere`` those that it
    gets where people have it in another job.
    """

    one: Object
    group: int
    found: Mapping[int, Position | None]
    followed: Sequence[int]
    frames: range
    kept: Mapping[int, Mapping[str, Any]]
    mutable: frozenset[int]
    """Attributes that may differ from frame to frame: a track has them at its keyframes."""
    elsewhere: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    track: Mapping[str, Any] | None = None
    """The object's track here, as CVAT has it; None where the job gets one of its own."""
    stays_open: bool = False
    """Whether what comes behind the last frame is as it was: people's track was followed backward only."""

    @property
    def is_seen(self) -> bool:
        return any(position is not None for position in self.found.values())

    @cached_property
    def fixed(self) -> Mapping[int, Mapping[str, Any]]:
        """The keyframes of the track that are no matter of what was found."""
        return {**self.kept, **self.elsewhere}

    def seen_on(self, frame: int) -> Position | None:
        """Where the object is: as people say, or else as it was found; None where it is not."""
        key = self.fixed.get(frame)
        if key is None:
            return self.found.get(frame)
        return None if key["outside"] else position_of(key)

    @property
    def source(self) -> str:
        """CVAT's word for whose it is: a person began it, or nobody did."""
        is_auto = self.one.is_track and self.one.item["source"] == "auto"
        return "auto" if is_auto or not self.one.copies else "semi-auto"

    @property
    def drawn_frames(self) -> set[int]:
        """The frames here on which people have the object."""
        return {*self.kept, *(copy.item["frame"] for copy in self.one.copies if copy.kind == SHAPE)}


def kept_keyframes(
    track: Mapping[str, Any] | None, found: Mapping[int, Position | None], written: Written
) -> dict[int, Mapping[str, Any]]:
    """The keyframes of a track that stay: people's, and all where nothing new was found."""
    if track is None:
        return {}
    again = range(min(found), max(found) + 1) if found else range(0)
    return {key["frame"]: key for key in track["shapes"] if not _is_replaced(key, again, written)}


def drawn_elsewhere(
    one: Object,
    track: Mapping[str, Any] | None,
    frames: range,
    written: Written,
    others: Sequence[Mapping[str, Any]] = (),
) -> dict[int, Mapping[str, Any]]:
    """Keyframes for a track on a job's ``frames`` where people have it in another job that shares them, and not here,
    also not in ``others``, the object's tracks of other forms.

    It is not lost there. They are the run's, so that the next one looks at people's again.
    """
    held, keys = held_values(one.item, one.frame), [] if track is None else track["shapes"]
    here = {key["frame"] for key in keys if key not in written}
    return {
        frame: keyframe(held, frame, position)
        for frame, position in one.theirs.items()
        if frame in frames and frame not in here and position is not None and position.form == one.form
        if all(position_at(other, frame) is None for other in others)
    }


def _is_replaced(key: Mapping[str, Any], again: range, written: Written) -> bool:
    """Whether it is a run's and lies where the object was followed ``again``: also on frames that were deleted since,
    which are not followed through."""
    return key["frame"] in again and key in written


def track_of(part: Part, keyframe_iou: float | None) -> dict[str, Any]:
    """A track as CVAT's REST API takes it, closed behind its last frame."""
    item = part.one.item
    keys = {key["frame"]: key for key in _keyframes(part, keyframe_iou)} | dict(part.fixed)
    ordered = [keys[frame] for frame in sorted(keys)]
    if part.track is None or ordered[0]["frame"] not in part.kept:  # else CVAT takes the label's defaults
        values = held_values(item, part.one.frame)["attributes"]
        ordered[0] = {**ordered[0], "attributes": [one for one in values if one["spec_id"] in part.mutable]}
    return {
        "frame": ordered[0]["frame"],
        "label_id": item["label_id"],
        "group": part.group,
        "source": part.source,
        "attributes": [one for one in item["attributes"] if one["spec_id"] not in part.mutable],
        "shapes": ordered,
    }


def own_frames(part: Part, track: Mapping[str, Any]) -> list[int]:
    """The frames of the keyframes that are not people's."""
    return [key["frame"] for key in track["shapes"] if key["frame"] not in part.drawn_frames]


def mask_shapes(part: Part) -> Iterator[dict[str, Any]]:
    """A mask on every frame on which the object was found and people have not drawn it."""
    item, held = part.one.item, held_values(part.one.item, part.one.frame)
    attributes = {one["spec_id"]: one for one in (*item["attributes"], *held["attributes"])}
    for frame, position in part.found.items():
        if position is not None and frame not in part.drawn_frames:
            yield {
                "frame": frame,
                "label_id": item["label_id"],
                "type": MASK,
                "points": list(position.points),
                "group": part.group,
                "source": part.source,
                "occluded": held["occluded"],
                "outside": False,
                "z_order": held["z_order"],
                "rotation": 0,
                "score": position.score,
                "attributes": list(attributes.values()),
            }


def _keyframes(part: Part, keyframe_iou: float | None) -> Iterator[dict[str, Any]]:
    """Those of each visible stretch, and behind each one of outside with the last points: CVAT moves towards it."""
    held = held_values(part.one.item, part.one.frame)
    for stretch in _stretches(part):
        for frame, position in _thinned(stretch, part.one.form, keyframe_iou):
            yield keyframe(held, frame, position)
        last, position = stretch[-1]
        if (end := _ending(part, last)) is not None:
            yield keyframe(held, end, position, outside=True)


def _stretches(part: Part) -> Iterator[list[tuple[int, Position]]]:
    """Runs of followed frames on which the object is seen; each keyframe that stays, also on a frame that was deleted,
    begins a new one."""
    kept = sorted(part.fixed)
    stretch: list[tuple[int, Position]] = []
    for frame in part.followed:
        position = part.seen_on(frame)
        if stretch and (position is None or bisect(kept, stretch[-1][0]) < bisect(kept, frame)):
            yield stretch
            stretch = []
        if position is not None:
            stretch.append((frame, position))
    if stretch:
        yield stretch


def _thinned(
    stretch: Sequence[tuple[int, Position]], form: str, keyframe_iou: float | None
) -> Iterator[tuple[int, Position]]:
    """A turned box stays as it was drawn; the boxes around it are upright."""
    turned = next((i for i, (_, position) in enumerate(stretch) if position.rotation), None)
    if turned is not None:
        if turned:
            yield from _thinned(stretch[:turned], form, keyframe_iou)
        yield stretch[turned]
        if stretch[turned + 1 :]:
            yield from _thinned(stretch[turned + 1 :], form, keyframe_iou)
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
            yield stretch[index][0], Position(POLYGON, tuple(np.round(outline, _DECIMALS).ravel().tolist()))


def _ending(part: Part, last: int) -> int | None:
    """The frame from which on nothing is seen after ``last``, if no person's keyframe says more."""
    later = [frame for frame in part.followed if frame > last]
    end = later[0] if later else last + 1
    was_closed = part.track is not None and position_at(part.track, end) is None
    goes_on = not later and ((part.stays_open and not was_closed) or any(frame > last for frame in part.fixed))
    was_looked_for = part.track is None or last not in part.fixed or end in part.found or was_closed
    return end if end in part.frames and end not in part.fixed and was_looked_for and not goes_on else None


def keyframe(held: Mapping[str, Any], frame: int, position: Position, *, outside: bool = False) -> dict[str, Any]:
    """As CVAT's REST API takes it, with the occlusion and z-order of ``held``."""
    return {
        "type": position.form,
        "frame": frame,
        "points": [round(number, _DECIMALS) for number in position.points],
        "rotation": position.rotation,
        "outside": outside,
        "occluded": bool(held["occluded"]),
        "z_order": held["z_order"],
        "attributes": [],
    }
