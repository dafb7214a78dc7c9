"""A task on the stand-in server, a function that answers for it, and the command over both."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptable.cli.main import main
from toy.cvat.stand_in import StandIn, Task

TASK = 3
JOBS = [(1, "annotation", 0, 4), (2, "annotation", 5, 9)]
BAD = 4
"""The function fails on this frame."""
ATTRIBUTES = [
    {"id": 7, "name": "confidence", "input_type": "number", "values": ["0", "100", "1"], "default_value": "0"},
    {"id": 8, "name": "review", "input_type": "checkbox", "values": ["false"], "default_value": "false"},
    {"id": 9, "name": "side", "input_type": "select", "values": ["left", "right"], "default_value": "left"},
]
FLAWS = [(0.9, 10.0), (0.4, 20.0), (0.2, 30.0)]
"""Score and left edge of what a frame shows: the last is below the threshold."""


def picture(number: int) -> bytes:
    return f"picture {number}".encode()


def detect(request: Mapping[str, Any]) -> Any:
    """As many flaws as the frame's number modulo 4, but none of the bad frame; all that is proposed, given a floor."""
    flaws = [(score, [left, frame, left + 5, 70]) for frame in _frame(request) for score, left in FLAWS[: frame % 4]]
    if "floor" in request:
        return candidates([one for one in flaws if one[0] >= request["floor"]], request)
    return [
        {"label": "rust", "confidence": score, "type": "rectangle", "points": box, "attributes": []}
        for score, box in flaws
        if score >= request["threshold"]
    ]


def detect_without_floor(request: Mapping[str, Any]) -> Any:
    """As a function of before there was one: it does not know the field."""
    return detect({"threshold": 0.35} | {key: value for key, value in request.items() if key != "floor"})


def candidates(flaws: Sequence[tuple[float, Sequence[float]]], request: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = request.get("labels", [{"name": "rust", "type": "rectangle"}])
    common = {"threshold": 0.35, "max_area": 1.0, "marks": None}
    return {
        "model": "swin-t 1",
        "hw": [40, 60],
        "floor": request["floor"],
        "labels": [
            common | {key: label[key] for key in ("name", "type", "threshold", "marks") if key in label}
            for label in asked
        ],
        "rules": {"nms_iou": 0.6, "cross_label_iou": 1.0, "limit": 300},
        "proposals": {
            "boxes": [box for _, box in flaws],
            "labels": [0] * len(flaws),
            "scores": [score for score, _ in flaws],
            "captions": [0] * len(flaws),
            "cut": [[0] * 4] * len(flaws),
            "beyond_overlap": [0] * len(flaws),
        },
        "masks": [],
    }


def _frame(request: Mapping[str, Any]) -> list[int]:
    """The frame's number, none for another picture. Raises ValueError for the bad frame."""
    word, *number = base64.b64decode(request["image"]).split()[:2]
    if word != b"picture":
        return []
    if int(number[0]) == BAD:
        raise ValueError("image: expected a picture, got a truncated one")
    return [int(number[0])]


def prepare(cvat: StandIn, **task: Any) -> None:
    """Task 3: ten frames of 40 x 60 pixels in two jobs, with the labels rust, needs-review and failed."""
    cvat.tasks = {TASK: Task([picture(i) for i in range(10)], (40, 60), JOBS, **task)}
    cvat.labels = {("task_id", TASK): [("rust", "rectangle"), ("needs-review", "tag"), ("failed", "tag")]}
    cvat.attributes = ATTRIBUTES
    cvat.answers = {"": detect}


def annotate(cvat: StandIn, *options: str) -> int:
    """The command's exit status."""
    page = str(Path(os.environ["XDG_STATE_HOME"]) / "review.html")
    where = ["--task", str(TASK), "--url", cvat.url, "--function", f"{cvat.url}/", "--queue", page]
    return main(["annotate", *where, *options])


def stored(cvat: StandIn) -> list[tuple[Any, ...]]:
    """What the server holds, without ids, sorted: equal for equal outcomes, however they came about."""
    return sorted(
        (
            job,
            kind,
            one["frame"],
            one["label_id"],
            str(one.get("points")),
            one.get("score"),
            one["source"],
            _values(one),
        )
        for job, held in cvat.annotations.all().items()
        for kind in ("shapes", "tags")
        for one in held[kind]
    )


def _values(one: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    return tuple((value["spec_id"], value["value"]) for value in one["attributes"])


def asked_frames(cvat: StandIn) -> list[int]:
    """Of the calls of the function, those that carry a picture."""
    images = [base64.b64decode(body["image"]) for body in cvat.bodies if isinstance(body, dict) and "image" in body]
    return [int(image.split()[1]) for image in images if image.startswith(b"picture")]
