"""``promptable propagate``: objects on one frame are followed through a video, and become tracks in CVAT."""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.options import add_model_arguments, add_server_arguments, connected, function_of

if TYPE_CHECKING:
    from promptable.cvat.propagate.following.words import Newcomers
    from promptable.cvat.propagate.options import Options
    from promptable.cvat.propagate.plan import Plan
    from promptable.cvat.propagate.review.places import Review
    from promptable.cvat.tracking import Tracker

    _Models = Callable[[], tuple[Tracker, Newcomers | None]]

_DONE, _WRONG, _INTERRUPTED = 0, 1, 130
_MOST_OBJECTS = 20
"""In a table; the page has more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("frames", "exactly one of").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=int, metavar="N", help="a task, through all its jobs")
    source.add_argument("--job", type=int, metavar="N", help="a job")
    add_model_arguments(parser, required=False)
    _add_what(parser.add_argument_group("what is followed"))
    _add_words(parser.add_argument_group("words"))
    _add_result(parser.add_argument_group("what becomes of it"))
    add_server_arguments(parser)
    parser.set_defaults(run=_propagate)


def _add_what(group: Any) -> None:
    add = group.add_argument
    begin = group.add_mutually_exclusive_group()
    begin.add_argument(
        "--from", type=_frame, dest="first", metavar="N", help="the frame with the objects (default: the first)"
    )
    begin.add_argument("--tagged", metavar="NAME", help="each frame that people tagged so, which then loses the tag")
    add("--to", type=_frame, dest="last", metavar="N", help="where following ends (default: the last frame)")
    way = group.add_mutually_exclusive_group()
    way.add_argument("--backward", action="store_true", help="towards earlier frames")
    way.add_argument("--both", action="store_true", help="towards both ends")
    add(
        "--labels",
        metavar="NAME,... | FILE",
        help="only objects of these labels; with --detect: the labels.yaml of what is looked for",
    )
    add("--shapes", type=_ids, metavar="ID,...", help="only these shapes and tracks, by CVAT's ids")
    add(
        "--restart-at-keyframes",
        action="store_true",
        help="go on from where people have drawn an object on a later frame (default: it ends there)",
    )
    add("--completed-jobs", action="store_true", help="also jobs that are completed or rejected")


def _add_words(group: Any) -> None:
    add = group.add_argument
    add(
        "--detect",
        nargs="?",
        const="",
        metavar="WHERE",
        help="also follow what a detector finds: its URL beside --function, its name beside --via-cvat, or its model "
        "beside --local (default there: PROMPTABLE_MODEL)",
    )
    add("--every", type=_count, metavar="K", help="look for new objects on one frame in K (default: 30)")


def _add_result(group: Any) -> None:
    add = group.add_argument
    add(
        "--as",
        dest="form",
        choices=("rectangle", "polygon", "mask"),
        help="tracks of rectangles or polygons, or a mask a frame in one group (default: as it was drawn)",
    )
    add(
        "--keyframe-iou",
        type=_share,
        metavar="IOU",
        help="only so many keyframes that CVAT's interpolation overlaps by this (default: 0.95 for rectangles; "
        "polygons on every frame)",
    )
    add("--dry-run", action="store_true", help="say what would be followed, ask no function and write nothing")
    add("--page", type=Path, metavar="FILE", help="the page of what to look at (default: propagate-task-N-run-R.html)")
    add("--issues", action="store_true", help="open an issue in CVAT on each place that is worth a look")
    add("--review", type=int, metavar="RUN", help="write the page of a finished run again; no more")
    add("--undo", type=int, metavar="RUN", help="take back what this run wrote and nobody changed; no more")
    add("--new-run", action="store_true", help="leave an unfinished run as it is and begin another")


def _frame(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a frame's number, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if (number := _frame(text)) == 0:
        raise argparse.ArgumentTypeError("expected a number of frames above 0")
    return number


def _ids(text: str) -> list[int]:
    return [_frame(part.strip()) for part in text.split(",")]


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, up to 1, got {text!r}")
    return number


def _propagate(parsed: argparse.Namespace) -> int:
    from promptable.cvat.propagate.run import journal_of
    from promptable.cvat.server.errors import CvatError
    from promptable.cvat.server.frames import Frames

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with connected(parsed, writes=not parsed.dry_run) as client:
            frames = Frames(client, task=parsed.task, job=parsed.job)
            with journal_of(client, frames.task) as journal:
                if parsed.undo:
                    return _undo(parsed, client, journal)
                if parsed.review:
                    return _review(parsed, client, frames, journal, _own(journal, parsed.review))
                run = _run if parsed.tagged is None else _run_tagged
                return run(parsed, client, frames, journal, cache(partial(_models, parsed, client, frames)))
    except CvatError as error:
        sys.stderr.write(f"promptable propagate: {error}\n")
        return _WRONG
    except KeyboardInterrupt:
        sys.stderr.write("promptable propagate: interrupted; the same command goes on where it stopped\n")
        return _INTERRUPTED


def _undo(parsed: argparse.Namespace, client: Any, journal: Any) -> int:
    from promptable.cvat.propagate.writing.undo import undo

    gone, left = undo(client, journal, _own(journal, parsed.undo).id)
    sys.stdout.write(f"run {parsed.undo}: {gone} taken back, {left} left, which people have changed or removed\n")
    return _DONE


def _own(journal: Any, number: int) -> Any:
    """A run of this command."""
    from promptable.cvat.propagate.journal import COMMAND
    from promptable.cvat.server.errors import CvatError

    run = journal.run(number)
    if run.command != COMMAND:
        raise CvatError(f"run {number} is one of promptable {run.command}: give its number to that")
    return run


def _run_tagged(parsed: argparse.Namespace, client: Any, frames: Any, journal: Any, models: "_Models") -> int:
    """A run from each frame that is tagged so, which then loses the tag."""
    from promptable.cvat.propagate.plan import NothingToFollowError
    from promptable.cvat.propagate.tagged import tagged_frames, untag

    status, stopped = _DONE, journal.unfinished()
    for frame in tagged_frames(client, frames, parsed.tagged, stopped and stopped.options["asked"]["first"]):
        sys.stdout.write(f"from frame {frame}\n")
        parsed.first = frame
        try:
            _run(parsed, client, frames, journal, models)
        except NothingToFollowError as error:
            sys.stderr.write(f"promptable propagate: {error}; it keeps its tag\n")
            status = _WRONG
            continue
        if not parsed.dry_run:
            untag(client, frames, parsed.tagged, frame)
    return status


def _run(parsed: argparse.Namespace, client: Any, frames: Any, journal: Any, models: "_Models") -> int:
    from promptable.cvat.propagate import run as runs
    from promptable.cvat.propagate.plan import make_plan

    options = _options(parsed)
    if parsed.dry_run:
        _say_plan(make_plan(client, frames, options, journal.ours()), frames, options)
        return _DONE
    if parsed.new_run:
        runs.give_up(journal)
    run = runs.unfinished(journal, options)
    tracker, newcomers = models()
    if run is None:
        plan = make_plan(client, frames, options, journal.ours(), newcomers)
        _say_plan(plan, frames, options)
        run = runs.begin(journal, plan, options, {"function": repr(tracker.function)})
        sys.stdout.write(f"run {run.id}\n")
    else:
        sys.stdout.write(f"going on with run {run.id}\n")
    sys.stdout.flush()
    for sentence in runs.carry_out(client, journal, run, frames, tracker, newcomers, options):
        sys.stdout.write(f"left alone: {sentence}\n")
    _report(journal, run.id)
    return _review(parsed, client, frames, journal, run)


def _models(parsed: argparse.Namespace, client: Any, frames: Any) -> "tuple[Tracker, Newcomers | None]":
    """The tracker, and what looks for new objects if that is wanted. Raises CvatError."""
    from promptable.cvat.functions import Source
    from promptable.cvat.propagate.following.words import Newcomers
    from promptable.cvat.server.errors import CvatError
    from promptable.cvat.tracking import Tracker

    if parsed.function is None and parsed.via_cvat is None and not parsed.local:
        raise CvatError("expected a model: --function URL, --via-cvat NAME or --local")
    if parsed.detect == "" and not parsed.local:
        raise CvatError("--detect: expected the detector's URL beside --function, or its name beside --via-cvat")
    source = Source(frames.task.id, parsed.job)
    tracker = Tracker(function_of(parsed, client, source, kind="tracker"))
    if parsed.detect is None:
        return tracker, None
    detector = function_of(parsed, client, source, where=parsed.detect or None)
    return tracker, Newcomers(client, frames, detector, _options(parsed))


def _options(parsed: argparse.Namespace) -> "Options":
    from promptable.cvat.propagate.options import Direction, Options
    from promptable.cvat.server.errors import CvatError

    detects = parsed.detect is not None
    if parsed.every is not None and not detects:
        raise CvatError("--every says how often --detect looks: leave it out, or add --detect")
    return Options(
        function=parsed.function or parsed.via_cvat or "local",
        job=parsed.job,
        first=parsed.first,
        last=parsed.last,
        direction=Direction.BACKWARD if parsed.backward else Direction.BOTH if parsed.both else Direction.FORWARD,
        labels=None if detects or parsed.labels is None else [name.strip() for name in parsed.labels.split(",")],
        shapes=parsed.shapes,
        form=parsed.form,
        keyframe_iou=parsed.keyframe_iou,
        restart_at_keyframes=parsed.restart_at_keyframes,
        completed_jobs=parsed.completed_jobs,
        detect=parsed.detect,
        words=_words(parsed.labels) if detects and parsed.labels is not None else None,
        every=(parsed.every or 30) if detects else None,
    )


def _words(path: str) -> list[Any]:
    """The entries of a labels.yaml. Raises CvatError."""
    from promptable.cvat.preview.variants import own_keys, read_labels

    return [own_keys(entry) for entry in read_labels(Path(path))]


def _say_plan(plan: "Plan", frames: Any, options: "Options") -> None:
    for sentence in plan.left_out:
        sys.stdout.write(f"left alone: {sentence}\n")
    if frames.deleted:
        sys.stdout.write(f"left alone: {len(frames.deleted)} deleted frames\n")
    forms = [one.form for one in plan.objects]
    counted = ", ".join(f"{forms.count(form)} {form}" for form in dict.fromkeys(forms)) or "none yet"
    sys.stdout.write(f"{len(forms)} objects ({counted}) to follow through {plan.frames} frames\n")
    if plan.met and not options.restart_at_keyframes:
        where = f"where people have them, the first on frame {plan.met[0]}"
        sys.stdout.write(f"{len(plan.met)} of them end {where}: --restart-at-keyframes goes on from there\n")
    if options.every is not None:
        sys.stdout.write(f"new ones are looked for on the first frame and then on one in {options.every}\n")


def _review(parsed: argparse.Namespace, client: Any, frames: Any, journal: Any, run: Any) -> int:
    """What is worth a person's look: as a table, as a page, and as issues if wanted."""
    from promptable.cvat.propagate.review.page import pictured, render
    from promptable.cvat.propagate.review.pictures import pictures
    from promptable.cvat.propagate.review.places import review
    from promptable.cvat.server.issues import Issue, open_issues

    found, task = review(client, journal, run, frames), frames.task
    _show_table(found)
    page = parsed.page or Path(f"propagate-task-{task.id}-run-{run.id}.html")
    shown = pictures(journal, run, frames, pictured(found))
    url = f"{client.api_map.host}/tasks/{task.id}"
    page.write_text(render(f"Followed in task {task.id}, {task.name}", run.id, found, shown, url), encoding="utf-8")
    sys.stdout.write(f"{len(found.places)} places to look at: {page}\n")
    if parsed.issues:
        issues = [Issue(one.job, one.frame, one.box, f"{one.label}: {one.what}") for one in found.places]
        sys.stdout.write(f"{open_issues(client, issues)} issues opened\n")
    return _DONE


def _show_table(found: "Review") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("object", box=None)
    for heading in ("frames", "found", "least sure", "to look at"):
        table.add_column(heading, justify="right")
    for one, count in found.by_doubts()[:_MOST_OBJECTS]:
        numbers = (f"{one.frames}", f"{one.found}", f"{one.weakest:.2f}", f"{count}")
        table.add_row(f"{escape(one.label)} {one.number + 1}", *numbers)
    Console(file=sys.stdout).print(table)


def _report(journal: Any, run: int) -> None:
    """What is in CVAT now."""
    tracks = keyframes = masks = 0
    for write in journal.writes(run):
        for item in write.items if write.action != "delete" else ():
            count = len(item["new"].get("shapes", ()))
            tracks, keyframes, masks = tracks + bool(count), keyframes + count, masks + (not count)
    sys.stdout.write(f"run {run}: {tracks} tracks of {keyframes} keyframes, {masks} masks\n")
