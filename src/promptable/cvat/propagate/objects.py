"""The objects that are followed: what people left on a frame, or a detector found there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promptable.cvat.geometry.position import FORMS, POLYGON, RECTANGLE, Position, position_at, position_of
from promptable.cvat.propagate.broken import is_whole
from promptable.cvat.propagate.content import SHAPE, TRACK

BACK = -2
"""What joins in direction 1 or -1 is followed back to where it came in, in direction -2 or 2."""


@dataclass(frozen=True)
class Copy:
    """What a job holds of an object: a ``shape`` or ``track`` (``kind``) as CVAT gave it."""

    job: int
    kind: str
    item: Mapping[str, Any]


@dataclass(frozen=True)
class Object:
    """An object that is followed from ``start`` on ``frame``, with its ``copies`` in the jobs that have it already.

    ``theirs`` is where people have it on other frames, None where they say that it is outside. ``form`` is what becomes
    of it: a mask becomes one mask a frame, in one group, the others a track. One that a detector found has no copies
    but ``detected``, the shape that CVAT would give; ``joined`` is the direction in which it was found on the way, 1 or
    -1, and 0 on the first frame of all.
    """

    number: int
    label_id: int
    form: str
    frame: int
    start: Position
    copies: Sequence[Copy]
    theirs: Mapping[int, Position | None]
    detected: Mapping[str, Any] | None = None
    joined: int = 0

    @property
    def item(self) -> Mapping[str, Any]:
        """What it begins as, which has what is taken over: group, attributes, z-order, occlusion."""
        return self.copies[0].item if self.detected is None else self.detected

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"{self.copies[0].kind} {self.item['id']}" if self.copies else f"a detection on frame {self.frame}"

    @property
    def is_track(self) -> bool:
        """Whether people began it as a track."""
        return bool(self.copies) and self.copies[0].kind == TRACK

    @property
    def changes_form(self) -> bool:
        """Whether it began as a track of another form, which ends where this one takes over."""
        return self.is_track and self.form != self.start.form

    def copy_in(self, job: int) -> Copy | None:
        """What a job holds of it."""
        return next((copy for copy in self.copies if copy.job == job), None)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Object":
        theirs = {int(frame): read_position(position) for frame, position in stored["theirs"].items()}
        copies = [Copy(**copy) for copy in stored["copies"]]
        return cls(**{**stored, "start": read_position(stored["start"]), "copies": copies, "theirs": theirs})


def read_position(stored: Mapping[str, Any] | None) -> Position | None:
    """A position as the journal keeps it."""
    return None if stored is None else Position(**{**stored, "points": tuple(stored["points"])})


def found_on(annotations: Mapping[str, Any], frame: int) -> list[tuple[str, Mapping[str, Any], Position]]:
    """Shapes and tracks of a job that are seen on a frame, of the forms that can be followed; not where broken."""
    placed = [(kind, one, _place_on(kind, one, frame)) for kind, one in shown_on(annotations, frame)]
    return [(kind, one, position) for kind, one, position in placed if position is not None]


def shown_on(annotations: Mapping[str, Any], frame: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Also those that are broken there."""
    shapes = [(SHAPE, one) for one in annotations["shapes"] if one["frame"] == frame and one["type"] in FORMS]
    return shapes + [(TRACK, one) for one in annotations["tracks"] if _followable(one) and _shows(one, frame)]


def unfollowable_on(annotations: Mapping[str, Any], frame: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Form and item of all that is shown on a frame and can't be followed, such as points and skeletons."""
    shapes = [(one["type"], one) for one in annotations["shapes"] if one["frame"] == frame and one["type"] not in FORMS]
    tracks = [one for one in annotations["tracks"] if one["shapes"] and not _followable(one) and _shows(one, frame)]
    return shapes + [(one["shapes"][0]["type"], one) for one in tracks]


def _place_on(kind: str, item: Mapping[str, Any], frame: int) -> Position | None:
    try:
        position = position_of(item) if kind == SHAPE else position_at(item, frame)
    except ValueError:  # between two keyframes of which one is broken
        return None
    return position if position is not None and is_whole(position) else None


def _followable(track: Mapping[str, Any]) -> bool:
    return bool(track["shapes"]) and not track.get("elements") and track["shapes"][0]["type"] in (RECTANGLE, POLYGON)


def _shows(track: Mapping[str, Any], frame: int) -> bool:
    before = [key for key in track["shapes"] if key["frame"] <= frame]
    return bool(before) and not max(before, key=lambda key: int(key["frame"]))["outside"]


def held_values(item: Mapping[str, Any], frame: int) -> Mapping[str, Any]:
    """``attributes``, ``occluded``, ``z_order`` of a shape, or of a track on a frame, held from earlier keyframes."""
    if "shapes" not in item:
        return item
    keys = sorted((key for key in item["shapes"] if key["frame"] <= frame), key=lambda key: int(key["frame"]))
    values = {one["spec_id"]: one for key in keys for one in key["attributes"]}
    return {**keys[-1], "attributes": list(values.values())}
