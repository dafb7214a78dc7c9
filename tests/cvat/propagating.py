"""A video task on the stand-in server, a tracker that answers for it, and the command over both."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cli.main import main
from toy.cvat.stand_in import StandIn, Task

TASK = 4
JOBS = [(1, "annotation", 0, 11), (2, "annotation", 7, 19)]
"""They overlap by five frames, as CVAT cuts a video."""
HW = (100, 200)
CAR, PERSON, BIKE = 0, 1, 2
LOST_AT = range(5, 8)
"""On these frames an object that was drawn at y = 60 is lost."""
COMES_IN = 3
"""An object that was drawn at y = 70 is lost before this frame."""
MUTABLE = [
    {"id": 7, "name": "plate", "mutable": False, "input_type": "text", "values": [""], "default_value": ""},
    {
        "id": 8,
        "name": "braking",
        "mutable": True,
        "input_type": "checkbox",
        "values": ["false"],
        "default_value": "false",
    },
]


def picture(number: int) -> bytes:
    return f"picture {number}".encode()


def moved(shape: Mapping[str, Any], frames: int) -> dict[str, Any]:
    """Two pixels to the right a frame, faster from the tenth on."""
    shift = 2 * frames + 3 * max(0, frames - 10)
    points = list(shape["points"])
    if shape["type"] == "mask":
        points[-4], points[-2] = points[-4] + shift, points[-2] + shift
    else:
        points[0::2] = [x + shift for x in points[0::2]]
    return {"type": shape["type"], "points": points, "score": 0.9}


def formed(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The box of a shape in the type in which it is to be answered."""
    form = shape.get("as", shape["type"])
    if form == shape["type"]:
        return {"type": form, "points": list(shape["points"])}
    numbers = shape["points"]
    x1, y1, x2, y2 = (
        (*numbers[-4:-2], numbers[-2] + 1, numbers[-1] + 1)
        if shape["type"] == "mask"
        else (min(numbers[0::2]), min(numbers[1::2]), max(numbers[0::2]), max(numbers[1::2]))
    )
    points = {
        "rectangle": [x1, y1, x2, y2],
        "polygon": [x1, y1, x2, y1, x2, y2, x1, y2],
        "mask": [0, (x2 - x1) * (y2 - y1), x1, y1, x2 - 1, y2 - 1],
    }
    return {"type": form, "points": points[form]}


def frame_of(request: Mapping[str, Any]) -> int:
    """The frame that a request is about; -1 for a blank picture, which only asks what a function is."""
    word, _, number = base64.b64decode(request["image"]).partition(b" ")
    return int(number) if word == b"picture" else -1


def track(request: Mapping[str, Any]) -> dict[str, Any]:
    """Objects move to the right; drawn at y = 60 they are away for a while, and rectangles then keep their last box."""
    frame = frame_of(request)
    if "states" not in request:
        begun = [formed(shape) for shape in request["shapes"]]
        return {"shapes": begun, "states": [{"start": one, "at": frame, "last": one["points"]} for one in begun]}
    shapes: list[dict[str, Any] | None] = []
    states = []
    for state in request["states"]:
        shape: dict[str, Any] | None = moved(state["start"], frame - state["at"])
        top = state["start"]["points"][-3 if state["start"]["type"] == "mask" else 1]
        if (top == 60 and frame in LOST_AT) or (top == 70 and frame < COMES_IN):
            rectangle = state["start"]["type"] == "rectangle"
            shape = {"type": "rectangle", "points": state["last"], "outside": True} if rectangle else None
        shapes.append(shape)
        states.append(state | {"last": shape["points"] if shape else None})
    return {"shapes": shapes, "states": states}


def prepare(cvat: StandIn, **task: Any) -> None:
    """Task 4: a video of 20 frames of 100 x 200 pixels in two jobs."""
    cvat.tasks = {TASK: Task([picture(i) for i in range(20)], HW, task.pop("jobs", JOBS), video=True, **task)}
    cvat.labels = {("task_id", TASK): [("car", "any"), ("person", "any"), ("bike", "rectangle")]}
    cvat.attributes = MUTABLE
    cvat.answers = {"": track}


def draw(cvat: StandIn, points: Sequence[float], form: str = "rectangle", *, job: int = 1, **fields: Any) -> int:
    """A shape as a person draws it; its id."""
    shape = {
        "type": form,
        "frame": 0,
        "label_id": CAR,
        "points": list(points),
        "source": "manual",
        "group": 0,
        "occluded": False,
        "outside": False,
        "z_order": 0,
        "rotation": 0,
        "attributes": [],
        "score": 1.0,
        **fields,
    }
    return int(cvat.annotations.patch(job, "create", {"shapes": [shape]})["shapes"][0]["id"])


def draw_track(
    cvat: StandIn,
    keyframes: Sequence[tuple[int, Sequence[float], bool]],
    job: int = 1,
    held: Sequence[Any] = (),
    **fields: Any,
) -> int:
    """A rectangle track as a person draws it, from frame, points and outside, with ``held`` attributes; its id."""
    shapes = [
        {
            "type": "rectangle",
            "frame": frame,
            "points": list(points),
            "outside": outside,
            "occluded": False,
            "z_order": 0,
            "rotation": 0,
            "attributes": list(held),
        }
        for frame, points, outside in keyframes
    ]
    drawn = {"frame": keyframes[0][0], "label_id": CAR, "group": 0, "source": "manual", "attributes": []}
    whole = {**drawn, **fields, "shapes": shapes}
    return int(cvat.annotations.patch(job, "create", {"tracks": [whole]})["tracks"][0]["id"])


def propagate(cvat: StandIn, *options: str) -> int:
    """The command's exit status."""
    source = () if "--job" in options else ("--task", str(TASK))
    return main(["propagate", *source, "--url", cvat.url, "--function", f"{cvat.url}/", *options])


def keyframes(found: Mapping[str, Any]) -> list[tuple[int, tuple[float, ...], bool]]:
    return [(key["frame"], tuple(key["points"]), key["outside"]) for key in found["shapes"]]


def stored(cvat: StandIn) -> list[Any]:
    """What the server holds, without ids, sorted: equal for equal outcomes, however they came about."""
    found: list[Any] = []
    for job, held in cvat.annotations.all().items():
        found += [
            (
                job,
                "shape",
                one["frame"],
                one["label_id"],
                one["type"],
                tuple(one["points"]),
                one["group"],
                one["source"],
            )
            for one in held["shapes"]
        ]
        found += [
            (job, "track", one["frame"], one["label_id"], tuple(keyframes(one)), one["group"], one["source"])
            for one in held["tracks"]
        ]
    return sorted(found, key=repr)


def asked(cvat: StandIn) -> list[tuple[int, int]]:
    """Frame and number of objects of each request to the tracker."""
    bodies = [body for body in cvat.bodies if isinstance(body, dict) and "image" in body and frame_of(body) >= 0]
    return [(frame_of(body), len(body.get("states") or body["shapes"])) for body in bodies]
