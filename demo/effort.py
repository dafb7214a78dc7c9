"""A pilot on a stand-in for CVAT: annotated, corrected by a scripted person, measured, and its thresholds set anew."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from demo.cvat import run, served
from promptable.cvat.effort.judging.matching import LEAST_IOU, one_to_one
from promptable.cvat.effort.judging.verdicts import MINOR_IOU
from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import MASK, RECTANGLE, Position, position_of
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn, Task
from toy.png import png
from toy.scenes import COLOURS, SHAPES, SIZE, SceneObject, scene

_PILOT, _OTHERS = range(22_000_000, 22_000_096), range(22_500_000, 22_500_064)
"""Seeds: those that thresholds are chosen on, and those on which they are tried."""
_JOB = 32
_FORMS = dict.fromkeys(SHAPES, RECTANGLE) | {"star": MASK}
_LABELS = "".join(
    f"- name: {shape}\n  type: {_FORMS[shape]}\n  threshold: 0.15\n"
    f"  prompts: [{', '.join(f'{colour} {shape}' for colour in COLOURS)}]\n"
    for shape in SHAPES
)
"""Thresholds of somebody who would rather delete than draw."""
_PILOT_TASK, _BEFORE_TASK, _AFTER_TASK = 1, 2, 3


def write(folder: Path, function_url: str) -> Mapping[str, float]:
    """Write ``effort.html`` and ``effort-preview.html``. Returns F1 on other frames, before and after."""
    old, new = folder / "labels-pilot.yaml", folder / "labels-suggested.yaml"
    old.write_text(_LABELS, encoding="utf-8")
    with served(_stand_in(), folder) as cvat:
        _annotate(cvat, _PILOT_TASK, function_url, old, folder)
        _correct(Person(cvat, _PILOT_TASK), _PILOT)
        Person(cvat, _PILOT_TASK).complete(1, 2)
        report = ["--output", str(folder / "effort.html"), "--suggest", str(new), "--seconds-per-box", "10"]
        run("effort", cvat, _PILOT_TASK, *report)
        for task, labels in ((_BEFORE_TASK, old), (_AFTER_TASK, new)):
            _annotate(cvat, task, function_url, labels, folder)
        page = ["--output", str(folder / "effort-preview.html"), "--function", function_url, "--frames", "6"]
        run("preview", cvat, _AFTER_TASK, "--variant", f"old={old}", "--variant", f"new={new}", *page)
        return {"f1_before": _f1(cvat, _BEFORE_TASK), "f1_after": _f1(cvat, _AFTER_TASK)}


def _stand_in() -> StandIn:
    """A server with the pilot and with other pictures twice."""
    return StandIn(
        tasks={_PILOT_TASK: _task(_PILOT, 1), _BEFORE_TASK: _task(_OTHERS, 11), _AFTER_TASK: _task(_OTHERS, 21)},
        labels={("task_id", task): [(shape, "any") for shape in SHAPES] for task in (1, 2, 3)},
    )


def _task(seeds: Sequence[int], first_job: int) -> Task:
    starts = range(0, len(seeds), _JOB)
    jobs = [(first_job + i, "annotation", start, start + _JOB - 1) for i, start in enumerate(starts)]
    return Task([png(scene(seed).image) for seed in seeds], (SIZE, SIZE), jobs)


def _annotate(cvat: StandIn, task: int, function_url: str, labels: Path, folder: Path) -> None:
    queue = ["--queue", str(folder / f"review-{task}.html")]
    run("annotate", cvat, task, "--function", function_url, "--labels", str(labels), *queue)


def _correct(person: Person, seeds: Sequence[int]) -> None:
    """As somebody who knows the truth: what fits is left, the rest is dragged, relabelled, deleted or drawn."""
    for frame, seed in enumerate(seeds):
        truth = scene(seed).objects
        held = person.shapes(frame)
        pairs = one_to_one(len(held), len(truth), lambda i, j: (0, _overlap(position_of(held[i]), truth[j])))  # noqa: B023
        for i, shape in enumerate(held):
            if i not in pairs:
                person.delete(shape)
            else:
                _correct_shape(person, shape, truth[pairs[i]])
        for missed in set(range(len(truth))) - set(pairs.values()):
            label = _name(truth[missed])
            place = _place(truth[missed], _FORMS[label])
            person.add(frame, SHAPES.index(label), place.points, place.form)


def _correct_shape(person: Person, shape: Mapping[str, object], truth: SceneObject) -> None:
    place = _place(truth, str(shape["type"]))
    if shape["label_id"] != (label := SHAPES.index(_name(truth))):
        person.relabel(shape, label)
    elif iou(position_of(shape), place) < MINOR_IOU:
        person.drag(shape, place.points)


def _overlap(place: Position, truth: SceneObject) -> float:
    overlap = iou(place, _place(truth, place.form))
    return overlap if overlap >= LEAST_IOU else 0.0


def _place(truth: SceneObject, form: str) -> Position:
    if form == MASK:
        return Position(MASK, run_lengths.encode(truth.mask, 0, 0))
    return Position(RECTANGLE, tuple(np.round(truth.xyxy, 2).tolist()))


def _name(truth: SceneObject) -> str:
    return truth.label.split()[1]


def _f1(cvat: StandIn, task: int) -> float:
    """Of what a run has stored: an object is found by its label with an IoU of 0.5."""
    counts: Counter[str] = Counter()
    person = Person(cvat, task)
    for frame, seed in enumerate(_OTHERS):
        for number, label in enumerate(SHAPES):
            held = [position_of(shape) for shape in person.shapes(frame) if shape["label_id"] == number]
            truth = [one for one in scene(seed).objects if _name(one) == label]
            pairs = one_to_one(len(held), len(truth), lambda i, j: (0, _overlap(held[i], truth[j])))  # noqa: B023
            counts += Counter(right=len(pairs), answered=len(held), objects=len(truth))
    return round(2 * counts["right"] / (counts["answered"] + counts["objects"]), 4)
