"""What people type, and what they ask of a run by it."""

import argparse
from pathlib import Path
from typing import Any

from promptable.cli.cvat.options import add_model_arguments, add_server_arguments, frame_ranges
from promptable.cli.cvat.undo import METAVAR, which_run
from promptable.cli.values import count, unit_number
from promptable.cvat.annotate.options import Include, Mode, Options, parse_include
from promptable.cvat.escaping import for_a_journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("frames", "exactly one of").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=count, metavar="N", help="all frames of a task")
    source.add_argument("--project", type=count, metavar="N", help="all tasks of a project, one after the other")
    source.add_argument("--job", type=count, metavar="N", help="all frames of a job")
    source.add_argument("--images", type=Path, metavar="DIR", help="pictures of a folder, without any CVAT")
    parser.add_argument("--output", type=Path, metavar="DIR", help="with --images: where COCO and the journal go")
    add_model_arguments(parser, required=False)
    _add_what(parser.add_argument_group("what is looked for"))
    _add_where(parser.add_argument_group("where it goes"))
    parser.add_argument("--concurrency", type=count, default=2, metavar="N", help="requests under way (default: 2)")
    add_server_arguments(parser)


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
    mode.add_argument(
        "--undo",
        type=which_run,
        metavar=METAVAR,
        help="take back what this run of the task, or the last one (of each task of a project), wrote and nobody "
        "changed, and put back what it deleted; no more",
    )
    add(
        "--frames",
        type=frame_ranges,
        metavar="N-N,N,...",
        help="only these, by the task's numbers, such as 0-99,120,200-",
    )
    add("--limit", type=count, metavar="N", help="at most so many frames (of each task of a project)")
    add(
        "--include",
        type=_include,
        default=[],
        metavar="WHAT,...",
        help="what is left alone otherwise: completed (jobs that are completed or rejected), ground-truth (its job), "
        "honeypots (frames that test annotators), deleted (frames)",
    )
    add("--dry-run", action="store_true", help="say what would be done, ask about no frame and write nothing")
    add("--new-run", action="store_true", help="leave an unfinished run as it is and begin another")
    add("--queue", type=Path, metavar="FILE", help="the page of what to look at (default: review-task-N-run-R.html)")
    add("--yes", action="store_true", help="do not ask before --replace-all, or before --append adds again")


def _include(text: str) -> list[Include]:
    try:
        return parse_include(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def options_of(parsed: argparse.Namespace) -> Options:
    from promptable.cvat.labels.entries import read_labels

    given = [mode for mode in Mode if getattr(parsed, mode.replace("-", "_"))]
    return Options(
        function=for_a_journal(parsed.function or parsed.via_cvat or "local"),
        job=parsed.job,
        mode=given[0] if given else Mode.SKIP_ANNOTATED,
        labels=None if parsed.labels is None else read_labels(parsed.labels),
        frames=parsed.frames,
        limit=parsed.limit,
        min_confidence=parsed.min_confidence,
        review_below=parsed.review_below,
        polygons=parsed.polygons,
        include=parsed.include,
    )
