"""``promptable segments``: what tags say frame by frame becomes ranges of frames, with times."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.options import add_server_arguments, connected
from promptable.cli.cvat.source import add_source_arguments
from promptable.cli.cvat.terminal import DONE, show, told
from promptable.cli.values import count, number

if TYPE_CHECKING:
    from promptable.cvat.journal import JournalReader
    from promptable.cvat.segments.scores import TagScores
    from promptable.cvat.segments.segments import Segment
    from promptable.cvat.segments.write import Writer
    from promptable.cvat.server.frames import Frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser, projects=False)
    add = parser.add_argument
    add("--min-length", type=count, default=10, metavar="N", help="no range is of fewer frames (default: 10)")
    add("--min-gap", type=count, default=5, metavar="N", help="nor a gap between two of these (default: 5)")
    add("--fps", type=_fps, metavar="F", help="frames a second of the video, for times: CVAT does not know it")
    add("--output", type=Path, metavar="FILE", help="where the ranges go (default: segments.csv)")
    write = parser.add_mutually_exclusive_group()
    write.add_argument("--write", action="store_true", help="make the frames' tags in CVAT those of the ranges")
    write.add_argument("--undo", type=int, metavar="RUN", help="take back what this run wrote; no more")
    add_server_arguments(parser)
    parser.set_defaults(run=lambda parsed: told("segments", lambda: _segments(parsed)))


def _fps(text: str) -> float:
    return number(text, "frames a second, such as 25 or 29.97", lambda value: 0 < value < 1e6)


def _segments(parsed: argparse.Namespace) -> int:
    from promptable.cvat.server.frames import Frames

    writes = parsed.write or parsed.undo is not None
    with connected(parsed, writes=writes) as client:
        frames = Frames(client, task=parsed.task, job=parsed.job)
        (_run_writing if writes else _run)(parsed, client, frames)
    return DONE


def _run(parsed: argparse.Namespace, client: Any, frames: "Frames") -> None:
    """Read only."""
    from promptable.cvat.journal import JournalReader, path_of

    with closing(JournalReader(path_of(client, frames.task))) as journal:
        _find(parsed, frames, journal)


def _run_writing(parsed: argparse.Namespace, client: Any, frames: "Frames") -> None:
    from promptable.cvat.annotate.task_labels import task_labels
    from promptable.cvat.journal import Journal
    from promptable.cvat.segments.write import Writer

    with Journal.of_task(client, frames.task) as journal:
        writer = Writer(client, journal, frames, task_labels(client, frames.task.id))
        writer.settle()
        if parsed.undo is None:
            _write(writer, *_find(parsed, frames, journal))
            return
        gone, back = writer.undo(parsed.undo)
        sys.stdout.write(f"run {parsed.undo}: {gone} tags taken away, {back} put back\n")


def _find(
    parsed: argparse.Namespace, frames: "Frames", journal: "JournalReader"
) -> "tuple[list[Segment], list[TagScores]]":
    """The ranges, shown and in their file, and what they were made from. Raises CvatError where that is nothing."""
    from promptable.cvat.segments.scores import tag_scores
    from promptable.cvat.segments.segments import segments, write_csv
    from promptable.cvat.segments.viterbi import Smoothing
    from promptable.cvat.server.errors import CvatError

    tags = tag_scores(journal)
    if not tags:
        raise CvatError(
            "no run of promptable annotate has looked for a label of type tag in this task, as far as the journal here "
            "knows: a labels.yaml has '- {name: night, type: tag, prompts: [dark street]}'"
        )
    found = segments(tags, frames.numbers, Smoothing(parsed.min_length, parsed.min_gap))
    path = parsed.output or Path("segments.csv")
    write_csv(path, found, frames, parsed.fps)
    _report(parsed, found, tags, path)
    return found, tags


def _report(parsed: argparse.Namespace, found: "list[Segment]", tags: "list[TagScores]", path: Path) -> None:
    rows = [[one.label, one.frames[0], one.frames[-1], len(one.frames), f"{one.mean_score:.2f}"] for one in found]
    show(("label", "from", "to", "frames", "mean score"), rows)
    without = sorted({tag.label for tag in tags} - {one.label for one in found})
    if without:
        sys.stdout.write(f"nowhere: {', '.join(without)}\n")
    if parsed.fps is None:
        sys.stdout.write("CVAT does not know how many frames a second the video has: --fps adds times\n")
    sys.stdout.write(f"{len(found)} ranges\n{path}\n")


def _write(writer: "Writer", found: "list[Segment]", tags: "list[TagScores]") -> None:
    changes, left = writer.plan(found, [tag.label for tag in tags])
    for sentence in left:
        sys.stdout.write(f"left alone: {sentence}\n")
    if theirs := sum(change.theirs for change in changes):
        sys.stdout.write(f"left alone: {theirs} frames whose tag people have taken away\n")
    run = writer.write(changes)
    if run is None:
        sys.stdout.write("the tags in CVAT are those of the ranges\n")
        return
    added, removed = (sum(len(getattr(change, name)) for change in changes) for name in ("adds", "removes"))
    sys.stdout.write(f"run {run}: {added} tags added, {removed} taken away\n")
