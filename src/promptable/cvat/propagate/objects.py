"""The objects that are followed: annotations on a frame, or what a detector found there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promptable.cvat.geometry.position import FORMS, POLYGON, RECTANGLE, Position, position_at, position_of
from promptable.cvat.propagate.broken_shapes import is_valid
from promptable.cvat.propagate.content import SHAPE, TRACK

BACK = -2
"""Times the direction, 1 or -1, in which an object joined: the direction of its way back to where it came into view."""


@dataclass(frozen=True)
class Copy:
    """The annotation of an object in a job: ``item`` is the shape or track (``kind``) as CVAT gave it."""

    job: int
    kind: str
    item: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        """Kind and CVAT's id: ids of shapes and of tracks overlap."""
        return self.kind, self.item["id"]


@dataclass(frozen=True)
class Object:
    """An object that is followed from the position ``start`` on ``frame``.

    - ``number`` identifies it within the run.
    - ``form`` is the form of its answers: rectangles and polygons become a track, masks one shape on each frame, all in
      one group.
    - ``copies`` are its annotations in the jobs that show ``frame``, and tracks of other jobs with which it goes on.
    - ``by_people`` is where people have it on other frames; None where they say that it is outside.
    - ``detected`` is the shape of an object that a detector found, as CVAT would give it; it has no copies.
    - ``joined`` is the direction, 1 or -1, of the pass on which a detector found it; 0 on the first frame of the run.
    """

    number: int
    label_id: int
    form: str
    frame: int
    start: Position
    copies: Sequence[Copy]
    by_people: Mapping[int, Position | None]
    detected: Mapping[str, Any] | None = None
    joined: int = 0

    @property
    def item(self) -> Mapping[str, Any]:
        """The shape or track that it begins as, whose group, attributes, z-order and occlusion it keeps."""
        return self.copies[0].item if self.detected is None else self.detected

    @property
    def name(self) -> str:
        """Its name in a message."""
        return f"{self.copies[0].kind} {self.item['id']}" if self.copies else f"a detection on frame {self.frame}"

    @property
    def is_track(self) -> bool:
        """Whether it begins as a track."""
        return bool(self.copies) and self.copies[0].kind == TRACK

    @property
    def changes_form(self) -> bool:
        """Whether it begins as a track of another form, which ends where this form takes over."""
        return self.is_track and self.form != self.start.form

    def copy_in(self, job: int) -> Copy | None:
        """Its annotation in a job; None if the job has none."""
        return next((copy for copy in self.copies if copy.job == job), None)

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        fields = asdict(self)
        fields["theirs"] = fields.pop("by_people")
        return fields

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Object":
        """The inverse of ``as_json``, from parsed JSON."""
        fields = dict(stored)
        by_people = {int(frame): read_position(position) for frame, position in fields.pop("theirs").items()}
        copies = [Copy(**copy) for copy in stored["copies"]]
        return cls(**{**fields, "start": read_position(stored["start"]), "copies": copies, "by_people": by_people})


def read_position(stored: Mapping[str, Any] | None) -> Position | None:
    """A position from the JSON of the journal."""
    return None if stored is None else Position(**{**stored, "points": tuple(stored["points"])})


def found_on(annotations: Mapping[str, Any], frame: int) -> list[tuple[str, Mapping[str, Any], Position]]:
    """(kind, item, position) of what can be followed on a frame of a job; without what is broken there."""
    placed = [(kind, one, _position_on(kind, one, frame)) for kind, one in shown_on(annotations, frame)]
    return [(kind, one, position) for kind, one, position in placed if position is not None]


def shown_on(annotations: Mapping[str, Any], frame: int) -> list[tuple[str, Mapping[str, Any]]]:
    """(kind, item) of the shapes and tracks that are seen on a frame and have a form that can be followed."""
    shapes = [(SHAPE, one) for one in annotations["shapes"] if one["frame"] == frame and one["type"] in FORMS]
    return shapes + [(TRACK, one) for one in annotations["tracks"] if _is_followable(one) and _is_seen(one, frame)]


def unfollowable_on(annotations: Mapping[str, Any], frame: int) -> list[tuple[str, Mapping[str, Any]]]:
    """(form, item) of what is seen on a frame and has a form that cannot be followed, such as points and skeletons."""
    shapes = [(one["type"], one) for one in annotations["shapes"] if one["frame"] == frame and one["type"] not in FORMS]
    others = [one for one in annotations["tracks"] if one["shapes"] and not _is_followable(one)]
    return shapes + [(one["shapes"][0]["type"], one) for one in others if _is_seen(one, frame)]


def _position_on(kind: str, item: Mapping[str, Any], frame: int) -> Position | None:
    try:
        position = position_of(item) if kind == SHAPE else position_at(item, frame)
    except ValueError:  # between two keyframes of which one is broken
        return None
    return position if position is not None and is_valid(position) else None


def _is_followable(track: Mapping[str, Any]) -> bool:
    return bool(track["shapes"]) and not track.get("elements") and track["shapes"][0]["type"] in (RECTANGLE, POLYGON)


def _is_seen(track: Mapping[str, Any], frame: int) -> bool:
    before = [key for key in track["shapes"] if key["frame"] <= frame]
    return bool(before) and not max(before, key=lambda key: int(key["frame"]))["outside"]


def held_values(item: Mapping[str, Any], frame: int) -> Mapping[str, Any]:
    """A mapping with the ``attributes``, ``occluded`` and ``z_order`` of a shape, or of a track on a frame.

    A track has on a frame what its keyframes up to there say; the last keyframe that gives an attribute counts.
    """
    if "shapes" not in item:
        return item
    keys = sorted((key for key in item["shapes"] if key["frame"] <= frame), key=lambda key: int(key["frame"]))
    values = {one["spec_id"]: one for key in keys for one in key["attributes"]}
    return {**keys[-1], "attributes": list(values.values())}
