"""``promptable annotate``: words on every frame of a task, project or job, uploaded into CVAT."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.options import (
    add_model_arguments,
    add_server_arguments,
    connected,
    function_of,
)
from promptable.cli.cvat.terminal import DONE, FOUND, show, told_and_resumable
from promptable.cli.values import count, unit_number

if TYPE_CHECKING:
    from promptable.cvat.annotate.detector import Detector
    from promptable.cvat.annotate.options import Include, Options
    from promptable.cvat.annotate.plan import Plan
    from promptable.cvat.annotate.run import Annotator
    from promptable.cvat.functions import Function, Source
    from promptable.cvat.journal import Journal, JournalReader, Run
    from promptable.cvat.review.found import LabelFound
    from promptable.cvat.server.frames import Frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("frames", "exactly one of").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=int, metavar="N", help="all frames of a task")
    source.add_argument("--project", type=int, metavar="N", help="all tasks of a project, one after the other")
    source.add_argument("--job", type=int, metavar="N", help="all frames of a job")
    source.add_argument("--images", type=Path, metavar="DIR", help="pictures of a folder, without any CVAT")
    parser.add_argument("--output", type=Path, metavar="DIR", help="with --images: where COCO and the journal go")
    add_model_arguments(parser, required=False)
    _add_what(parser.add_argument_group("what is looked for"))
    _add_where(parser.add_argument_group("where it goes"))
    parser.add_argument("--concurrency", type=count, default=2, metavar="N", help="requests under way (default: 2)")
    add_server_arguments(parser)
    parser.set_defaults(run=lambda parsed: told_and_resumable("annotate", lambda: _annotate(parsed)))


def _add_what(group: Any) -> None:
    add = group.add_argument
    add("--labels", type=Path, metavar="FILE", help="labels.yaml to look for (default: the function's own)")
    add("--create-labels", action="store_true", help="add labels of FILE that the task lacks")
    add("--min-confidence", type=unit_number, metavar="C", help="what is uploaded (default: each label's threshold)")
    add(
        "--review-below", type=unit_number, default=0.45, metavar="C", help="what people should look at (default: 0.45)"
    )
    add("--polygons", action="store_true", help="masks are uploaded as polygons")


def _add_where(group: Any) -> None:
    add = group.add_argument
    mode = group.add_mutually_exclusive_group()
    mode.add_argument("--skip-annotated", action="store_true", help="leave out frames with annotations (the default)")
    mode.add_argument("--append", action="store_true", help="add to what is there")
    mode.add_argument("--replace", action="store_true", help="delete what earlier runs wrote and nobody changed")
    mode.add_argument("--replace-all", action="store_true", help="delete all shapes and tags, people's too")
    mode.add_argument("--undo", type=int, metavar="RUN", help="delete what this run wrote and nobody changed; no more")
    add("--frames", metavar="N-N,N,...", help="only these, by the task's numbers, such as 0-99,120,200-")
    add("--limit", type=count, metavar="N", help="at most so many frames")
    add(
        "--include",
        type=_include,
        default=[],
        metavar="WHAT,...",
        help="what is left alone otherwise: completed (jobs that are completed or rejected), ground-truth (its job), "
        "honeypots (frames that test annotators), deleted (frames)",
    )
    add("--dry-run", action="store_true", help="say what would be done, ask no function and write nothing")
    add("--new-run", action="store_true", help="leave an unfinished run as it is and begin another")
    add("--queue", type=Path, metavar="FILE", help="the page of what to look at (default: review-task-N.html)")
    add("--yes", action="store_true", help="do not ask before --replace-all")


def _include(text: str) -> "list[Include]":
    from promptable.cvat.annotate.options import parse_include

    try:
        return parse_include(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _annotate(parsed: argparse.Namespace) -> int:
    if parsed.images is not None:
        return _folder(parsed)
    with connected(parsed, writes=not parsed.dry_run) as client:
        return max([_one(parsed, client, frames) for frames in _sources(parsed, client)], default=DONE)


def _folder(parsed: argparse.Namespace) -> int:
    """Pictures of a folder to COCO."""
    from promptable.cvat.annotate.detector import Detector, describe
    from promptable.cvat.annotate.folder import annotate_folder, digest_of, pictures_of
    from promptable.cvat.annotate.task_labels import TaskLabels
    from promptable.cvat.progress import Progress
    from promptable.cvat.server.errors import CvatError

    if parsed.output is None:
        raise CvatError("--images: say where the result goes with --output DIR")
    function = _function(parsed, None, None)
    options = replace(_options(parsed), pictures=digest_of(pictures_of(parsed.images)))
    detector = Detector(function, describe(function, options), options, TaskLabels({}))
    with Progress() as progress:
        journal, run, path = annotate_folder(
            parsed.images, parsed.output, detector, parsed.concurrency, progress, new_run=parsed.new_run
        )
    errors = journal.errors(run.id)
    sys.stdout.write(f"run {run.id}: {journal.count_chosen(run.id)} objects\n{path}\n")
    journal.close()
    return _failures(errors)


def _sources(parsed: argparse.Namespace, client: Any) -> "Iterator[Frames]":
    """The frames of the job, of the task, of each of the project's tasks."""
    from promptable.cvat.annotate.options import Include
    from promptable.cvat.server.frames import Frames

    told = {
        "with_ground_truth": Include.GROUND_TRUTH in parsed.include,
        "with_deleted": Include.DELETED in parsed.include,
    }
    if parsed.project is None:
        yield Frames(client, task=parsed.task, job=parsed.job, **told)
        return
    for task in sorted(client.projects.retrieve(parsed.project).get_tasks(), key=lambda task: int(task.id)):
        sys.stdout.write(f"task {task.id}, {task.name}\n")
        yield Frames(client, task=task.id, **told)


def _one(parsed: argparse.Namespace, client: Any, frames: "Frames") -> int:
    """One task or job: undo, plan or run."""
    from promptable.cvat.annotate.run import Annotator
    from promptable.cvat.annotate.writing.undo import undo
    from promptable.cvat.journal import Journal

    with Journal.of_task(client, frames.task) as journal:
        if parsed.undo is not None:
            removed, kept = undo(client, journal, parsed.undo, frames.task.id)
            changed = "which people have changed or removed"
            sys.stdout.write(f"run {parsed.undo}: {removed} removed, {kept} left, {changed}\n")
            return DONE
        detector = _detector(parsed, client, frames)
        annotator = Annotator(client, journal, frames, detector)
        if parsed.dry_run:
            _say_plan(annotator.plan(), "would be asked about")
            return DONE
        run = _carried_out(parsed, annotator, journal, detector)
        return _report(parsed, client, frames, journal, run)


def _detector(parsed: argparse.Namespace, client: Any, frames: "Frames") -> "Detector":
    """The function, and what of the task's labels it is asked for."""
    from promptable.cvat.annotate.detector import Detector, describe
    from promptable.cvat.annotate.task_labels import labels_for, listed
    from promptable.cvat.functions import Source

    function, options = _function(parsed, client, Source(frames.task.id, parsed.job)), _options(parsed)
    if frames.is_video:
        sys.stdout.write("a video: each frame for itself; promptable propagate --detect makes tracks of words\n")
    described = describe(function, options)
    labels = labels_for(
        client,
        frames.task,
        described.labels,
        polygons=options.polygons,
        all_of_them=options.labels is not None,
        create=parsed.create_labels and not parsed.dry_run,
    )
    lacking = labels.lacking(entry["name"] for entry in described.labels if entry["name"] not in labels.marks)
    if lacking:
        sys.stdout.write(f"left out, since the task lacks them: the function's labels {listed(lacking)}\n")
    return Detector(function, described, options, labels)


def _carried_out(parsed: argparse.Namespace, annotator: "Annotator", journal: "Journal", detector: "Detector") -> "Run":
    """A run gone on with, or a new one, at its end."""
    from promptable.cvat.annotate.run import give_up, unfinished
    from promptable.cvat.progress import Progress

    if parsed.new_run:
        give_up(journal)
    run = unfinished(journal, detector)
    if run is not None:
        sys.stdout.write(f"going on with run {run.id}\n")
    else:
        run = _begun(parsed, annotator, journal, detector)
    with Progress() as progress:
        annotator.carry_out(run, parsed.concurrency, progress)
    return run


def _begun(parsed: argparse.Namespace, annotator: "Annotator", journal: "Journal", detector: "Detector") -> "Run":
    """A new run, whose plan is in the journal."""
    from promptable.cvat.annotate.run import begin

    plan = annotator.plan()
    _check_agreed(annotator.count_doomed(plan), yes=parsed.yes)
    run = begin(journal, detector, plan.places)
    _say_plan(plan, f"to ask about, run {run.id}")
    return run


def _check_agreed(doomed: int, *, yes: bool) -> None:
    """Raise CvatError where so many shapes and tags may not be deleted."""
    from promptable.cvat.server.errors import CvatError

    question = f"{doomed} shapes and tags will be deleted, whoever made them. Type yes to go on: "
    if doomed and not yes and not (sys.stdin.isatty() and input(question).strip() == "yes"):
        raise CvatError(f"{doomed} shapes and tags would be deleted, whoever made them: --yes says that they may be")


def _function(parsed: argparse.Namespace, client: Any, source: "Source | None") -> "Function":
    from promptable.cvat.server.errors import CvatError

    if parsed.function is None and parsed.via_cvat is None and not parsed.local:
        raise CvatError("expected a model: --function URL, --via-cvat NAME or --local")
    return function_of(parsed, client, source)


def _options(parsed: argparse.Namespace) -> "Options":
    from promptable.cvat.annotate.options import Mode, Options
    from promptable.cvat.preview.variants import own_keys, read_labels

    given = [mode for mode in Mode if getattr(parsed, mode.replace("-", "_"))]
    return Options(
        function=parsed.function or parsed.via_cvat or "local",
        job=parsed.job,
        mode=given[0] if given else Mode.SKIP_ANNOTATED,
        labels=None if parsed.labels is None else [own_keys(entry) for entry in read_labels(parsed.labels)],
        frames=parsed.frames,
        limit=parsed.limit,
        min_confidence=parsed.min_confidence,
        review_below=parsed.review_below,
        polygons=parsed.polygons,
        include=parsed.include,
    )


def _say_plan(plan: "Plan", what: str) -> None:
    for sentence in plan.left_out:
        sys.stdout.write(f"left alone: {sentence}\n")
    sys.stdout.write(f"{plan.frames} {'frame' if plan.frames == 1 else 'frames'} {what}\n")


def _report(parsed: argparse.Namespace, client: Any, frames: "Frames", journal: "JournalReader", run: "Run") -> int:
    """What was found and what people should look at, as a table and as a page; what failed. Returns the exit status."""
    from promptable.cvat.review.found import labels_found
    from promptable.cvat.review.page import render
    from promptable.cvat.review.run import run_queue

    if left := journal.places(run.id, "left"):
        sys.stdout.write(f"left alone: {len(left)} frames that were annotated or closed while it ran\n")
    below, stored, task = parsed.review_below, journal.uploaded(run.id), frames.task
    queue, labels = run_queue(journal, run, frames, below), labels_found(journal, [run.id], below)
    _show_table(labels, below)
    sys.stdout.write(f"run {run.id}: {stored} objects stored\n")
    if queue.frames or any(label.found for label in labels):  # else the page of the run before is worth more
        page = parsed.queue or Path(f"review-task-{task.id}.html")
        about = [f"Run {run.id}: {stored} objects stored; below {below:g} is to review."]
        html = render(f"Review of task {task.id}, {task.name}", about, queue, labels, below, client.api_map.host)
        page.write_text(html, encoding="utf-8")
        sys.stdout.write(f"{page}\n")
    return _failures(journal.errors(run.id))


def _failures(errors: Mapping[int, str]) -> int:
    """List what failed; returns the exit status."""
    for frame, error in sorted(errors.items()):
        sys.stderr.write(f"frame {frame} failed: {error}\n")
    return FOUND if errors else DONE


def _show_table(labels: "Sequence[LabelFound]", review_below: float) -> None:
    rows = [
        [label.name, label.found, label.below(review_below), f"{label.median:.2f}"] for label in labels if label.found
    ]
    show(("label", "found", "to review", "median confidence"), rows)
