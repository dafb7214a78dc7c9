"""The objects that are followed: what people left on the first frame, and what they have of them on other frames."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promptable.cvat.geometry.position import FORMS, Position, position_at, position_of

SHAPE, TRACK = "shape", "track"


@dataclass(frozen=True)
class Copy:
    """What a job holds of an object: a ``shape`` or ``track`` (``kind``) as CVAT gave it; ``frames`` are the job's."""

    job: int
    kind: str
    item: Mapping[str, Any]


@dataclass(frozen=True)
class Object:
    """An object: where it is on the first frame, and its copies in the jobs that show it there or go on with it.

    ``theirs`` is where people have it on other frames, None where they say that it is outside. ``form`` is what becomes
    of it; a mask becomes one mask a frame, in ``group``, the others a track.
    """

    number: int
    label_id: int
    form: str
    start: Position
    copies: Sequence[Copy]
    group: int
    theirs: Mapping[int, Position | None]

    @property
    def item(self) -> Mapping[str, Any]:
        """The first copy, which has what is taken over: attributes, z-order, occlusion."""
        return self.copies[0].item

    @property
    def is_track(self) -> bool:
        """Whether people began it as a track."""
        return self.copies[0].kind == TRACK

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
    """Shapes and tracks of a job that are seen on a frame, of the forms that can be followed."""
    shapes = [(SHAPE, one) for one in annotations["shapes"] if one["frame"] == frame and one["type"] in FORMS]
    tracks = [(TRACK, one) for one in annotations["tracks"] if _followable(one)]
    placed = [
        (kind, one, position_of(one) if kind == SHAPE else position_at(one, frame)) for kind, one in shapes + tracks
    ]
    return [(kind, one, position) for kind, one, position in placed if position is not None]


def _followable(track: Mapping[str, Any]) -> bool:
    return (
        bool(track["shapes"]) and not track.get("elements") and track["shapes"][0]["type"] in ("rectangle", "polygon")
    )


def held_values(item: Mapping[str, Any], frame: int) -> Mapping[str, Any]:
    """``attributes``, ``occluded``, ``z_order`` of a shape, or of a track on a frame, held from earlier keyframes."""
    if "shapes" not in item:
        return item
    keys = sorted((key for key in item["shapes"] if key["frame"] <= frame), key=lambda key: int(key["frame"]))
    values = {one["spec_id"]: one for key in keys for one in key["attributes"]}
    return {**keys[-1], "attributes": list(values.values())}


def keyframe_content(key: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells whether a keyframe is still as it was written."""
    points = tuple(round(float(number), 2) for number in key["points"])
    return int(key["frame"]), bool(key["outside"]), points, round(float(key.get("rotation") or 0), 2)


def shape_content(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells whether a shape is still as it was written."""
    points = tuple(round(float(number), 2) for number in shape["points"])
    return (
        int(shape["frame"]),
        int(shape["label_id"]),
        shape["type"],
        points,
        round(float(shape.get("rotation") or 0), 2),
    )
