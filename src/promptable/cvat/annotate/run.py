"""A run of ``promptable annotate`` over a task or a job: planned, begun or resumed, and carried out."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from promptable.cvat.annotate.caution import Caution, caution
from promptable.cvat.annotate.detector import Described, Detector
from promptable.cvat.annotate.options import COMMAND, Mode, check_same
from promptable.cvat.annotate.pipeline import Fetched, Result, ask_all, fetch
from promptable.cvat.annotate.plan import NothingToAskError, Plan, make_plan
from promptable.cvat.annotate.writing.late import remove_late
from promptable.cvat.annotate.writing.upload import Uploader
from promptable.cvat.functions import Function, Picture
from promptable.cvat.journal import Journal, Run
from promptable.cvat.progress import Bar, Progress
from promptable.cvat.server.errors import CvatError, going_on
from promptable.cvat.server.frames import Frames

_UPLOAD_EVERY_S = 10.0
_UPLOAD_FRAMES = 50
"""An upload begins after so many seconds or frames, whichever comes first: people soon see boxes, at few requests."""
_UNREACHABLE = 5
"""If the function does not answer for so many frames in a row, the cause is not the frames: the run stops."""


class Annotator:
    """Runs a detector on the frames of a CVAT task or job, and keeps the journal."""

    def __init__(self, client: Any, journal: Journal, frames: Frames, detector: Detector) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._journal = journal
        self._frames = frames
        self._detector = detector
        self._options = detector.options

    def plan(self) -> Plan:
        """The plan of a new run; nothing is written. Raises CvatError, NothingToAskError among them."""
        if self._options.mode is Mode.REPLACE and all(run.command != COMMAND for run in self._journal.runs()):
            raise NothingToAskError(
                "no automatic run of this task is in the journal here, so there is nothing that is surely nobody's "
                "work: --append, or --replace-all, which deletes people's work too"
            )
        return make_plan(self._client, self._frames, self._detector.labels, self._options)

    def caution(self, plan: Plan) -> Caution | None:
        """What the user must confirm before a run of this plan; None if nothing. Raises CvatError."""
        return caution(self._client, self._journal, plan, self._detector)

    def remove_late(self) -> None:
        """Delete what a slow server has stored twice of earlier runs. Raises CvatError."""
        remove_late(self._client, self._journal, self._detector.labels)

    @going_on()
    def carry_out(self, run: Run, concurrency: int, progress: Progress) -> None:
        """Do what is left to do of a run, and end it. Raises CvatError.

        After an interruption, call it again: the outcome is the same.
        """
        labels, options = self._detector.labels, self._options
        uploader = Uploader(self._client, self._journal, run, labels, options, self._frames, progress.waits_for)
        uploader.settle()
        self._journal.wait_again_for_failed(run.id)
        uploader.flush("asked")
        waiting = self._journal.frames(run.id, "waiting")
        bar = progress.begin("frames", len(waiting))
        sends_pictures = self._detector.function.takes_labels
        fetched = fetch(self._frames, waiting) if sends_pictures else map(Fetched, waiting)
        for recorded in record_results(ask_all(fetched, self._ask, concurrency), self._journal, run, bar):
            uploader.flush("asked", recorded)
        uploader.flush("failed")
        uploader.remove_late()
        uploader.remove_twins()
        self._journal.end(run.id, "finished")

    def _ask(self, fetched: Fetched) -> Result:
        """What the detector finds on a frame, or the error that it answers."""
        if fetched.error is not None:
            return Result(fetched.frame, error=fetched.error)
        frame = self._frames.frame(fetched.frame)
        picture = Picture(frame.name, lambda: fetched.data, frame.number)
        try:
            return Result(frame.number, self._detector.ask(picture, frame.hw))
        except CvatError as error:
            return Result(frame.number, error=error)


def record_results(results: Iterator[Result], journal: Journal, run: Run, bar: Bar) -> Iterator[list[int]]:
    """Write results into the journal as they come, and show progress.

    Yields frames when it is time to upload them, those recorded since the last time, and the rest at the end. Raises
    CvatError if the function does not answer for several frames in a row.
    """
    recorded: list[int] = []
    objects, failed, unanswered, since = journal.count_chosen(run.id), 0, 0, time.monotonic()
    for result in results:
        _record(result, journal, run)
        unanswered = unanswered + 1 if result.error is not None and result.error.status is None else 0
        if unanswered == _UNREACHABLE:
            raise CvatError(f"{result.error}; {unanswered} frames in a row were not answered")
        failed += result.error is not None
        objects += sum(one.chosen for one in result.detections)
        bar.advance(objects=objects, failed=failed)
        recorded.append(result.frame)
        if len(recorded) >= _UPLOAD_FRAMES or time.monotonic() - since > _UPLOAD_EVERY_S:
            yield recorded
            recorded, since = [], time.monotonic()
    yield recorded


def _record(result: Result, journal: Journal, run: Run) -> None:
    if result.error is None:
        journal.found(run.id, result.frame, result.detections)
    else:
        journal.failed(run.id, result.frame, str(result.error))


def begin(journal: Journal, detector: Detector, places: Iterable[tuple[int, int]]) -> Run:
    """Begin a run over ``places``: (job, frame)."""
    return journal.begin(COMMAND, detector.options.as_json(), _model_of(detector.function, detector.described), places)


def unfinished(journal: Journal, detector: Detector) -> Run | None:
    """The unfinished run, if there is one. Raises CvatError if it has other options, or another model, than now."""
    running = _running(journal)
    if not running:
        return None
    before = {**running[-1].options, "model": running[-1].model.get("model")}
    check_same(running[-1].id, before, {**detector.options.as_json(), "model": detector.described.model})
    return running[-1]


def give_up(journal: Journal) -> None:
    """End the unfinished runs as they are, so that they are not resumed."""
    for run in _running(journal):
        journal.end(run.id, "given up")


def _running(journal: Journal) -> list[Run]:
    return [run for run in journal.runs() if run.command == COMMAND and run.state == "running"]


def _model_of(function: Function, described: Described) -> Mapping[str, Any]:
    """What the journal keeps of the model and the function that answer."""
    return {
        "model": described.model,
        "function": repr(function),
        "labels": list(described.labels),
        "rules": dict(described.rules),
    }
