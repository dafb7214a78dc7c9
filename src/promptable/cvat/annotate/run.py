"""A run: begun or resumed, frame after frame, to its end."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from promptable.cvat.annotate.detector import Described, Detector
from promptable.cvat.annotate.options import Mode, Options, check_same
from promptable.cvat.annotate.pipeline import Fetched, Result, ask_all, fetch
from promptable.cvat.annotate.plan import Plan, make_plan
from promptable.cvat.annotate.progress import Progress
from promptable.cvat.annotate.task_labels import TaskLabels, check_names, check_types, create_labels, task_labels
from promptable.cvat.annotate.upload import Uploader
from promptable.cvat.functions import Function, Picture
from promptable.cvat.journal import Journal, Run, journal_path
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames

COMMAND = "annotate"
_UPLOAD_EVERY_S = 10.0
_UPLOAD_FRAMES = 50
"""Whichever comes first: people see boxes soon, and CVAT is not read for every frame."""
_UNREACHABLE = 5
"""So many frames in a row without any answer are no matter of the frames."""


@contextmanager
def journal_of(client: Any, task: Any) -> Iterator[Journal]:
    """The journal of a task (cvat-sdk's), with nobody else at work on it. Raises CvatError."""
    journal = Journal(journal_path(client.api_map.host, task.id, str(task.created_date)))
    try:
        with journal.alone():
            yield journal
    finally:
        journal.close()


def unfinished(journal: Journal, options: Options, model: Mapping[str, Any]) -> Run | None:
    """The run that these options and this model go on with. Raises CvatError where they are not the same."""
    running = [run for run in journal.runs() if run.command == COMMAND and run.state == "running"]
    if not running:
        return None
    before = {**running[-1].options, "model": running[-1].model.get("model")}
    check_same(running[-1].id, before, {**options.as_json(), "model": model["model"]})
    return running[-1]


def begin(
    client: Any,
    journal: Journal,
    frames: Frames,
    labels: TaskLabels,
    options: Options,
    model: Mapping[str, Any],
    may_delete: Callable[[int], bool],
) -> tuple[Run, Plan]:
    """A new run, and what it is about. Raises CvatError.

    ``may_delete`` is asked before so many shapes and tags, people's too, are deleted.
    """
    if options.mode is Mode.REPLACE and not journal.runs():
        raise CvatError(
            "no automatic run of this task is in the journal here, so there is nothing that is surely nobody's work: "
            "--append, or --replace-all, which deletes people's work too"
        )
    plan = make_plan(client, frames, labels, options)
    if options.mode is Mode.REPLACE_ALL and (count := _to_delete(client, plan)) and not may_delete(count):
        raise CvatError(f"{count} shapes and tags would be deleted, whoever made them: --yes says that they may be")
    return journal.begin(COMMAND, options.as_json(), model, plan.places), plan


def _to_delete(client: Any, plan: Plan) -> int:
    """How many shapes and tags are on the frames of a plan."""
    places = set(plan.places)
    return sum(
        (job, one["frame"]) in places
        for job in {job for job, _ in places}
        for kind, held in JobAnnotations(client, job).read().items()
        if kind in ("shapes", "tags")
        for one in held
    )


def carry_out(
    client: Any,
    journal: Journal,
    run: Run,
    frames: Frames,
    labels: TaskLabels,
    detector: Detector,
    concurrency: int,
    progress: Progress,
) -> None:
    """Do what a run has not done yet, and end it. Raises CvatError.

    Stopped at any point, it can be called again and the outcome is the same.
    """
    uploader = Uploader(client, journal, run, labels, detector.options)
    uploader.settle()
    journal.wait_again_for_failed(run.id)
    uploader.flush()
    waiting = journal.frames(run.id, "waiting")
    progress.begin(len(waiting))
    fetched = fetch(frames, waiting) if detector.function.takes_labels else map(Fetched, waiting)
    results = ask_all(fetched, partial(_ask, detector, frames), concurrency)
    for _ in noted(results, journal, run, progress):
        uploader.flush()
        progress.uploaded(journal.uploaded(run.id))
    uploader.flush("failed")
    journal.end(run.id, "finished")


def _ask(detector: Detector, frames: Frames, fetched: Fetched) -> Result:
    if fetched.error is not None:
        return Result(fetched.frame, error=fetched.error)
    frame = frames.frame(fetched.frame)
    picture = Picture(frame.name, lambda: fetched.data, frame.number)
    try:
        return Result(frame.number, detector.ask(picture, frame.hw))
    except CvatError as error:
        return Result(frame.number, error=error)


def noted(results: Iterator[Result], journal: Journal, run: Run, progress: Progress) -> Iterator[None]:
    """Note every result, and yield where it is time to upload, the last time at the end.

    Raises CvatError where nothing answers any more.
    """
    new, silent, since = 0, 0, time.monotonic()
    for result in results:
        if result.error is None:
            journal.found(run.id, result.frame, result.detections)
        else:
            journal.failed(run.id, result.frame, str(result.error))
        silent = silent + 1 if result.error is not None and result.error.status is None else 0
        if silent == _UNREACHABLE:
            raise CvatError(f"{result.error}; {silent} frames in a row. What was found so far is kept: run it again")
        progress.advance(failed=result.error is not None)
        new += 1
        if new >= _UPLOAD_FRAMES or time.monotonic() - since > _UPLOAD_EVERY_S:
            yield
            new, since = 0, time.monotonic()
    yield


def give_up(journal: Journal) -> None:
    """Leave unfinished runs as they are: nothing goes on with them any more."""
    for run in journal.runs():
        if run.command == COMMAND and run.state == "running":
            journal.end(run.id, "given up")


def labels_of_task(client: Any, task: Any, described: Described, options: Options, *, create: bool) -> TaskLabels:
    """The task's labels, checked against those that are looked for; ``create`` adds what it lacks. Raises CvatError."""
    labels = task_labels(client, task.id, described.labels)
    if create and (new := [entry for entry in described.labels if entry["name"] not in labels.by_name]):
        create_labels(client, task, new)
        labels = task_labels(client, task.id, described.labels)
    entries = [entry for entry in described.labels if entry["name"] not in labels.marks]
    known = [entry for entry in entries if entry["name"] in labels.by_name]
    if options.labels is not None or not known:
        check_names(labels, [entry["name"] for entry in entries])
    check_types(labels, known, options.polygons)
    return labels


def model_of(function: Function, described: Described) -> Mapping[str, Any]:
    """What is known of the model that answers, for the journal."""
    return {
        "model": described.model,
        "function": repr(function),
        "labels": list(described.labels),
        "rules": dict(described.rules),
    }
