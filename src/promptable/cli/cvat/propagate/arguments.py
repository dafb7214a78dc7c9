"""What people type, and what they ask of a run by it."""

import argparse
from pathlib import Path
from typing import Any

from promptable.cli.cvat.options import add_model_arguments, add_server_arguments, check_local_has_labels
from promptable.cli.cvat.undo import METAVAR, which_run
from promptable.cli.values import count, frame_number, number
from promptable.cvat.detection import MASK, POLYGON, RECTANGLE
from promptable.cvat.escaping import for_a_journal
from promptable.cvat.propagate.options import Direction, Options, wrong_way
from promptable.cvat.server.errors import OptionError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("frames", "exactly one of").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=count, metavar="N", help="a task, through all its jobs")
    source.add_argument("--job", type=count, metavar="N", help="a job")
    add_model_arguments(parser, required=False)
    _add_what(parser.add_argument_group("what is followed"))
    _add_words(parser.add_argument_group("words"))
    _add_result(parser.add_argument_group("what becomes of it"))
    add_server_arguments(parser)


def _add_what(group: Any) -> None:
    add = group.add_argument
    begin = group.add_mutually_exclusive_group()
    begin.add_argument(
        "--from", type=frame_number, dest="first", metavar="N", help="the frame with the objects (default: the first)"
    )
    begin.add_argument("--tagged", metavar="NAME", help="each frame that people tagged so, which then loses the tag")
    add("--to", type=frame_number, dest="last", metavar="N", help="where following ends (default: the last frame)")
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
    add("--include", choices=("completed",), help="also jobs that are completed or rejected")


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
    add("--every", type=count, metavar="K", help="look for new objects on one frame in K (default: 30)")


def _add_result(group: Any) -> None:
    add = group.add_argument
    add(
        "--as",
        dest="form",
        choices=(RECTANGLE, POLYGON, MASK),
        help="tracks of rectangles or polygons, or a mask a frame in one group (default: as it was drawn)",
    )
    add(
        "--keyframe-iou",
        type=_share,
        metavar="IOU",
        help="only so many keyframes that CVAT's interpolation overlaps by this (default: 0.95 for rectangles; "
        "polygons on every frame)",
    )
    add("--dry-run", action="store_true", help="say what would be followed, ask about no frame and write nothing")
    add(
        "--page",
        type=Path,
        metavar="FILE",
        help="the page of what to look at (default: propagate-task-N-run-R.html); with --tagged -run-R is put behind "
        "its name",
    )
    add("--issues", action="store_true", help="open an issue in CVAT on each place that is worth a look")
    add("--review", type=int, metavar="RUN", help="write the page of a finished run again; no more")
    add(
        "--undo",
        type=which_run,
        metavar=METAVAR,
        help="take back what this run of the task, or the last one, wrote and nobody changed; no more",
    )
    add("--new-run", action="store_true", help="leave an unfinished run as it is and begin another")


def _ids(text: str) -> list[int]:
    return [frame_number(part.strip()) for part in text.split(",")]


def _share(text: str) -> float:
    return number(text, "a number above 0, up to 1", lambda value: 0 < value <= 1)


def check_together(parsed: argparse.Namespace) -> None:
    """Raise OptionError for what does not go together."""
    _check_words(parsed)
    _check_way(parsed)


def _check_words(parsed: argparse.Namespace) -> None:
    if parsed.detect is None:
        if parsed.every is not None:
            raise OptionError("--every says how often --detect looks: leave it out, or add --detect")
        return
    check_local_has_labels(parsed, parsed.labels)
    if parsed.detect == "" and not parsed.local:
        raise OptionError("--detect: expected the detector's URL beside --function, or its name beside --via-cvat")


def _check_way(parsed: argparse.Namespace) -> None:
    if parsed.both and parsed.last is not None:
        raise OptionError(
            "--to ends one direction, and --both has two: leave it out, or follow each way in its own run"
        )
    if parsed.backward and parsed.first is None and parsed.tagged is None:
        raise OptionError("--backward: no frame lies before the first: --from N names the frame with the objects")
    if parsed.first is None or parsed.last is None:
        return
    if (why := wrong_way(parsed.first, parsed.last, -1 if parsed.backward else 1)) is not None:
        raise OptionError(why)


def options_of(parsed: argparse.Namespace) -> Options:
    """Raises CvatError for a labels.yaml that cannot be read."""
    from promptable.cvat.labels.entries import read_labels

    detects = parsed.detect is not None
    return Options(
        function=for_a_journal(parsed.function or parsed.via_cvat or "local"),
        job=parsed.job,
        first=parsed.first,
        last=parsed.last,
        direction=Direction.BACKWARD if parsed.backward else Direction.BOTH if parsed.both else Direction.FORWARD,
        labels=None if detects or parsed.labels is None else [name.strip() for name in parsed.labels.split(",")],
        shapes=parsed.shapes,
        form=parsed.form,
        keyframe_iou=parsed.keyframe_iou,
        restart_at_keyframes=parsed.restart_at_keyframes,
        include=parsed.include,
        detect=parsed.detect,
        words=read_labels(Path(parsed.labels)) if detects and parsed.labels is not None else None,
        every=(parsed.every or 30) if detects else None,
        tagged=parsed.tagged,
    )
