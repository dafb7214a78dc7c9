"""The requests: each session is one function, freshly loaded, that answers its requests in their order."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PICTURES = Path(__file__).parent / "pictures"
_LABELS = (
    {"name": "wedge", "type": "mask", "prompts": ["white triangle", "ivory wedge"]},
    {"name": "green star", "type": "polygon"},
    {"name": "blue star", "type": "rectangle", "threshold": 0.2},
    {"name": "orange triangle", "type": "mask"},
    {"name": "has a circle", "type": "tag", "prompts": ["purple circle", "violet disc"]},
)
_MARKS = (
    {"name": "needs review", "type": "tag", "marks": "review"},
    {"name": "failed", "type": "tag", "marks": "failure"},
)


@dataclass(frozen=True)
class Session:
    """``requests`` by name; the bodies are what Nuclio hands over, but for states (see ``with_states``).

    ``labels`` is the detector's annotation spec; ``environment`` what the settings are read from beside the model.
    """

    function: str
    model: str
    requests: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: str = "[]"


def picture(name: str) -> str:
    """A picture of the folder as the base64 text of a request."""
    return base64.b64encode((_PICTURES / name).read_bytes()).decode()


def with_states(body: Any, states: Mapping[str, Any]) -> Any:
    """The body where the names of earlier requests, as its states, are replaced by the states they were answered."""
    if not isinstance(body, dict) or not isinstance(body.get("states"), str):
        return body
    return body | {"states": states[body["states"]]}


def _detect(name: str, **more: Any) -> dict[str, Any]:
    return {"image": picture(name), **more}


def _interact(name: str = "scene.jpg", **prompts: Any) -> dict[str, Any]:
    return {"image": picture(name), "pos_points": [], "neg_points": [], "obj_bbox": []} | prompts


def _start(*shapes: Any) -> dict[str, Any]:
    return {"image": picture("frame-0.jpg"), "shapes": list(shapes), "states": []}


def _go_on(frame: int, states: Any, objects: int = 1) -> dict[str, Any]:
    return {"image": picture(f"frame-{frame}.jpg"), "shapes": [None] * objects, "states": states}


_CLICK, _BESIDE, _BOX = [139.5, 50.5], [114.5, 32.5], [[111, 29], [157, 77]]
_CIRCLE = {"type": "rectangle", "points": [114, 94, 176, 157]}
_STAR = {"type": "polygon", "points": [102, 20, 95, 34, 80, 37, 91, 47, 89, 63, 102, 55, 117, 62, 114, 46, 124, 35]}
_SMALL_STAR = {"type": "mask", "points": [0, 26 * 24, 5, 8, 30, 31]}
_FOREIGN_STATE = {
    **{"version": 3, "model": "elsewhere", "type": "mask", "bare": False},
    **{"step": 1, "memories": [["m" * 22, 1, True]], "outside": False},
}

_HALF_A_PICTURE = picture("scene.jpg")[:9000]
_NO_OBJECTS: Mapping[str, Any] = {"bytes that are no JSON": b'{"image": ', "a list": []}


def _with_bad_pictures(good: Mapping[str, Any]) -> dict[str, Any]:
    """The request without a picture, and with pictures that are none."""
    no_file = base64.b64encode(b"hello, I am a text").decode()
    pictures = {"no base64": "a picture!", "no picture file": no_file, "half a picture": _HALF_A_PICTURE}
    broken = {name: {**good, "image": image} for name, image in pictures.items()}
    return {"no picture": {key: value for key, value in good.items() if key != "image"}, **broken}


SESSIONS: Mapping[str, Session] = {
    "detector": Session(
        "grounding-dino",
        "grounding-dino",
        {
            "a scene": _detect("scene.jpg"),
            "two scenes": _detect("wide.jpg", threshold=0.3),
            "two scenes, low threshold": _detect("wide.jpg", threshold=0.05),
            "nothing so sure": _detect("wide.jpg", threshold=1.0),
            "threshold too high": _detect("scene.jpg", threshold=2),
            "threshold as a text": _detect("scene.jpg", threshold="0.3"),
            **_with_bad_pictures(_detect("scene.jpg")),
            **_NO_OBJECTS,
        },
        labels=json.dumps(_LABELS),
    ),
    "detector, tiles and marks": Session(
        "grounding-dino",
        "grounding-dino",
        {
            "two scenes": _detect("wide.jpg", threshold=0.3),
            "a scene": _detect("scene.jpg"),
            **_with_bad_pictures(_detect("scene.jpg")),
        },
        environment={
            "PROMPTABLE_MASK_MODEL": "sam2",
            "PROMPTABLE_TILE_SIZE": "128",
            "PROMPTABLE_ON_FAILURE": "tag",
            "PROMPTABLE_REVIEW_THRESHOLD": "0.7",
            "PROMPTABLE_CROSS_LABEL_NMS_IOU": "0.5",
        },
        labels=json.dumps(_LABELS + _MARKS),
    ),
    "interactor": Session(
        "sam-interactor",
        "sam",
        {
            "a click": _interact(pos_points=[_CLICK]),
            "a correcting click": _interact(pos_points=[_CLICK], neg_points=[_BESIDE]),
            "a box": _interact(obj_bbox=_BOX),
            "a box and a click": _interact(obj_bbox=_BOX, pos_points=[_CLICK]),
            "three boxes": _interact("wide.jpg", obj_bbox=[*_BOX, [197, 80], [242, 132], [367, 101], [311, 46]]),
            "a slipped click": _interact(pos_points=[[193, 100]]),
            "only negative": _interact(neg_points=[_BESIDE]),
            "nothing": _interact(),
            "only words": _interact(text_prompts=["white triangle"]),
            "far outside": _interact(pos_points=[[500, 10]]),
            "half a point": _interact(pos_points=[[5]]),
            "an odd corner": _interact(obj_bbox=[*_BOX, [1, 1]]),
            "a box without area": _interact(obj_bbox=[[5, 5], [5, 50]]),
            **_with_bad_pictures(_interact(pos_points=[_CLICK])),
            **_NO_OBJECTS,
        },
    ),
    "interactor, masks of before CVAT 2.60": Session(
        "sam-interactor",
        "sam",
        {
            "a click": _interact("corner.jpg", pos_points=[[39.5, 30.5]]),
            "a correcting click": _interact("corner.jpg", pos_points=[[39.5, 30.5]], neg_points=[[60, 60]]),
            "only negative": _interact("corner.jpg", neg_points=[[60, 60]]),
            "nothing": _interact("corner.jpg"),
        },
        environment={"PROMPTABLE_ANSWER_FORM": "mask"},
    ),
    "interactor, SAM 2 and cleaning": Session(
        "sam-interactor",
        "sam2",
        {
            "a click": _interact(pos_points=[_CLICK]),
            "a correcting click": _interact(pos_points=[_CLICK], neg_points=[_BESIDE]),
            "a box": _interact("wide.jpg", obj_bbox=[[197, 80], [242, 132]]),
        },
        environment={
            "PROMPTABLE_CLICK_MEANS": "whole",
            "PROMPTABLE_FILL_HOLES": "50",
            "PROMPTABLE_REMOVE_SPECKS": "50",
            "PROMPTABLE_SMOOTH_EDGES": "1.5",
        },
    ),
    "tracker": Session(
        "sam2-tracker",
        "sam2",
        {
            "three objects": _start(_CIRCLE, _STAR, _SMALL_STAR),
            "three objects, frame 1": _go_on(1, "three objects", 3),
            "three objects, frame 2": _go_on(2, "three objects, frame 1", 3),
            "frame 2 again": _go_on(2, "three objects, frame 1", 3),
            "back to frame 1": _go_on(1, "three objects, frame 2", 3),
            "bare": _start(_CIRCLE["points"]),
            "bare, frame 1": _go_on(1, "bare"),
            "bare, frame 2": _go_on(2, "bare, frame 1"),
            "lost before": _go_on(1, [None]),
            "no shapes": _start(),
            "both dialects": _start(_CIRCLE, _CIRCLE["points"]),
            "a cuboid": _start({"type": "cuboid", "points": [1] * 16}),
            "outside": _start({"type": "rectangle", "points": [300, 300, 320, 320]}),
            "an unfinished polygon": _start({"type": "polygon", "points": [1, 1, 2]}),
            "runs that do not fill the box": _start({"type": "mask", "points": [0, 5, 10, 10, 20, 20]}),
            "a foreign state": _go_on(1, [_FOREIGN_STATE]),
            "a state of another version": _go_on(1, [_FOREIGN_STATE | {"version": 1}]),
            "a state that is none": _go_on(1, ["state"]),
            **_with_bad_pictures(_start(_CIRCLE)),
            **_NO_OBJECTS,
        },
    ),
}
