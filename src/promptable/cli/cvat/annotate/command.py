"""What the command does: a run over a folder, a job, a task or each task of a project, or taking one back."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.annotate.arguments import options_of
from promptable.cli.cvat.annotate.output import report, say_plan
from promptable.cli.cvat.options import check_local_has_labels, connected, function_of
from promptable.cli.cvat.outcome import failures, told_and_resumable
from promptable.cli.cvat.source import sources
from promptable.cli.cvat.undo import check_no_dry_run, runs_meant, say_may_arrive, say_taken, say_task
from promptable.cli.terminal import DONE, left_alone, say
from promptable.cvat.annotate.options import COMMAND, Include
from promptable.cvat.detection import TAG
from promptable.cvat.plural import counted
from promptable.cvat.server.errors import CvatError, OptionError

if TYPE_CHECKING:
    from promptable.cvat.annotate.caution import Caution
    from promptable.cvat.annotate.detector import Described, Detector
    from promptable.cvat.annotate.run import Annotator
    from promptable.cvat.journal import Journal, Run
    from promptable.cvat.labels.task_labels import TaskLabels
    from promptable.cvat.server.frames import Frames

_OF_CVAT = (
    *("create_labels", "skip_annotated", "append", "replace", "replace_all", "undo"),
    *("frames", "limit", "include", "dry_run", "queue", "yes"),
)
"""Options that are about tasks and their frames."""


def annotate(parsed: argparse.Namespace) -> int:
    """The exit status: 0 for all, 3 if frames failed, 2 for wrong options, 1 for other refusals, 130 after Ctrl-C."""
    return told_and_resumable("annotate", lambda: _annotate(parsed))


def _annotate(parsed: argparse.Namespace) -> int:
    check_local_has_labels(parsed, parsed.labels)
    if parsed.images is not None:
        return _folder(parsed)
    _check_no_output(parsed)
    check_no_dry_run(parsed)
    with connected(parsed, writes=not parsed.dry_run) as client:
        if parsed.undo is not None:
            return _undo(parsed, client)
        return max([_one_of(parsed, client, frames) for frames in _sources(parsed, client)], default=DONE)


def _folder(parsed: argparse.Namespace) -> int:
    """Pictures of a folder to COCO."""
    from promptable.cvat.annotate.detector import Detector, describe
    from promptable.cvat.annotate.folder import annotate_folder
    from promptable.cvat.annotate.picture_files import digest_of, other_files, pictures_of
    from promptable.cvat.labels.task_labels import TaskLabels
    from promptable.cvat.progress import Progress

    if told := [option for option in _OF_CVAT if getattr(parsed, option)]:
        raise OptionError(f"--images: a folder has no use for --{told[0].replace('_', '-')}: leave it out")
    if parsed.output is None:
        raise OptionError("--images: say where the result goes with --output DIR")
    function = function_of(parsed)
    files = pictures_of(parsed.images)
    for sentence in other_files(parsed.images):
        left_alone(sentence)
    options = replace(options_of(parsed), pictures=digest_of(files))
    detector = Detector(function, describe(function, options), options, TaskLabels({}))
    with Progress() as progress:
        journal, run, path = annotate_folder(
            parsed.images, parsed.output, detector, parsed.concurrency, progress, new_run=parsed.new_run
        )
    errors = journal.errors(run.id)
    say(f"run {run.id}: {counted(journal.count_chosen(run.id), 'object')}\n{path}\n{parsed.output / 'coco.zip'}")
    journal.close()
    return failures(errors, lambda number: files[number].relative_to(parsed.images))


def _check_no_output(parsed: argparse.Namespace) -> None:
    """Raise OptionError for the folder's option where there is none."""
    if parsed.output is not None:
        raise OptionError(
            "--output: that is for --images, what is found in a task goes to CVAT (its page: --queue FILE)"
        )


def _sources(parsed: argparse.Namespace, client: Any) -> "Iterator[Frames]":
    """The frames of the job, of the task, of each of the project's tasks."""
    told = {
        "with_ground_truth": Include.GROUND_TRUTH in parsed.include,
        "with_deleted": Include.DELETED in parsed.include,
    }
    for frames in sources(parsed, client, left_alone, **told):
        say_task(parsed, frames)
        yield frames


def _one_of(parsed: argparse.Namespace, client: Any, frames: "Frames") -> int:
    """A task of a project is left alone where the options are about others."""
    from promptable.cvat.annotate.plan import NothingToAskError

    try:
        return _one(parsed, client, frames)
    except NothingToAskError as error:
        if parsed.project is None:
            raise
        left_alone(str(error))
        return DONE


def _one(parsed: argparse.Namespace, client: Any, frames: "Frames") -> int:
    """One task or job: plan or run."""
    from promptable.cvat.annotate.run import Annotator
    from promptable.cvat.journal import Journal

    with Journal.of_task(client, frames.task) as journal:
        detector = _detector(parsed, client, frames)
        annotator = Annotator(client, journal, frames, detector)
        if parsed.dry_run:
            _say_dry(annotator)
            return DONE
        run = _carried_out(parsed, annotator, journal, detector)
        return DONE if run is None else report(parsed, client, frames, journal, run)


def _undo(parsed: argparse.Namespace, client: Any) -> int:
    from promptable.cvat.annotate.writing.undo import undo
    from promptable.cvat.journal import Journal
    from promptable.cvat.progress import Progress

    for frames, run in runs_meant(parsed, client, COMMAND):
        with Journal.of_task(client, frames.task) as journal, Progress() as progress:
            completed = Include.COMPLETED in parsed.include
            taken = undo(client, journal, run, frames.task.id, progress, completed=completed)
            late = any(batch.run == run for batch, _ in journal.sent_again())
        what = f"{counted(taken.gone, 'annotation')} removed"
        say_taken(run, what, taken, f"--undo {run} --include completed takes that back too")
        if late:
            say_may_arrive(COMMAND, run)
    return DONE


def _detector(parsed: argparse.Namespace, client: Any, frames: "Frames") -> "Detector":
    """The function, and what of the task's labels it is asked for."""
    from promptable.cvat.annotate.detector import Detector, describe
    from promptable.cvat.functions import Source
    from promptable.cvat.labels.checks import check_labels, in_words

    function, options = function_of(parsed, client, Source(frames.task.id, parsed.job)), options_of(parsed)
    described = describe(function, options)
    if frames.is_video and any(entry["type"] != TAG for entry in described.labels):
        say("a video: each frame for itself; promptable propagate --detect makes tracks of words")
    labels = _task_labels(parsed, client, frames, described, options.labels or ())
    check_labels(labels, described.labels, polygons=options.polygons, all_of_them=options.labels is not None)
    lacking = labels.lacking(entry["name"] for entry in described.labels if entry["name"] not in labels.marks)
    if lacking:
        say(f"left out, since the task lacks them: the function's labels {in_words(lacking)}")
    return Detector(function, described, options, labels)


def _task_labels(
    parsed: argparse.Namespace,
    client: Any,
    frames: "Frames",
    described: "Described",
    given: Sequence[Mapping[str, Any]],
) -> "TaskLabels":
    """The task's labels; with ``--create-labels`` those that it lacks are added, in a dry run only named.

    ``given`` are the entries of a labels.yaml, which have the attributes.
    """
    from promptable.cvat.labels.creation import create_labels
    from promptable.cvat.labels.task_labels import task_labels

    labels = task_labels(client, frames.task.id, described.labels)
    new = labels.unknown(described.labels) if parsed.create_labels else []
    if not new:
        return labels
    names = ", ".join(repr(entry["name"]) for entry in new)
    say(f"labels {'that would be added' if parsed.dry_run else 'added'}: {names}")
    if parsed.dry_run:
        return labels.imagined(new)
    as_given = {entry["name"]: entry for entry in given}
    create_labels(client, frames.task, [{**as_given.get(entry["name"], {}), **entry} for entry in new])
    return task_labels(client, frames.task.id, described.labels)


def _carried_out(
    parsed: argparse.Namespace, annotator: "Annotator", journal: "Journal", detector: "Detector"
) -> "Run | None":
    """A run gone on with, or a new one, at its end; None where no frame is to be asked about."""
    from promptable.cvat.annotate.run import give_up, unfinished
    from promptable.cvat.progress import Progress

    if parsed.new_run:
        give_up(journal)
    run = unfinished(journal, detector)
    if run is not None:
        say(f"going on with run {run.id}")
    else:
        run = _begun(parsed, annotator, journal, detector)
    if run is None:
        return None
    with Progress() as progress:
        annotator.carry_out(run, parsed.concurrency, progress)
    return run


def _begun(
    parsed: argparse.Namespace, annotator: "Annotator", journal: "Journal", detector: "Detector"
) -> "Run | None":
    """A new run, whose plan is in the journal; None without frames, or --undo last would take it for the last."""
    from promptable.cvat.annotate.run import begin

    plan = annotator.plan()
    if not plan.frames:
        say_plan(plan, "to ask about")
        annotator.remove_late()
        return None
    if (caution := annotator.caution(plan)) is not None:
        _check_agreed(caution, yes=parsed.yes)
    run = begin(journal, detector, plan.places)
    say_plan(plan, f"to ask about, run {run.id}")
    return run


def _say_dry(annotator: "Annotator") -> None:
    """The plan, and what people would have to agree to."""
    plan = annotator.plan()
    say_plan(plan, "would be asked about")
    if (caution := annotator.caution(plan)) is not None:
        say(f"{caution.what}: {caution.remedy}")


def _check_agreed(caution: "Caution", *, yes: bool) -> None:
    """Raise CvatError where people do not agree."""
    question = f"{caution.what}. Type yes to go on: "
    if not yes and not (sys.stdin.isatty() and input(question).strip() == "yes"):
        raise CvatError(f"{caution.what}: {caution.remedy}")
