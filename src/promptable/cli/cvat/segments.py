"""``promptable segments``: what tags say frame by frame becomes ranges of frames, with times."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.options import add_server_arguments, connected
from promptable.cli.cvat.outcome import told
from promptable.cli.cvat.source import add_source_arguments, sources
from promptable.cli.cvat.undo import METAVAR, runs_meant, say_taken, say_task, which_run
from promptable.cli.terminal import DONE, left_alone, say, show
from promptable.cli.values import count, number
from promptable.cvat.plural import counted
from promptable.cvat.server.errors import CvatError

if TYPE_CHECKING:
    from promptable.cvat.journal import Journal
    from promptable.cvat.segments.scores import TagScores
    from promptable.cvat.segments.segments import TaskSegments
    from promptable.cvat.segments.write import Writer
    from promptable.cvat.server.frames import Frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    add = parser.add_argument
    add("--min-length", type=count, default=10, metavar="N", help="no range is of fewer frames (default: 10)")
    add("--min-gap", type=count, default=5, metavar="N", help="nor a gap between two of these (default: 5)")
    add("--fps", type=_fps, metavar="F", help="frames a second of the video, for times: CVAT does not know it")
    add("--output", type=Path, default=Path("segments.csv"), metavar="FILE", help="the ranges (default: segments.csv)")
    write = parser.add_mutually_exclusive_group()
    write.add_argument("--write", action="store_true", help="make the frames' tags in CVAT those of the ranges")
    write.add_argument(
        "--undo",
        type=which_run,
        metavar=METAVAR,
        help="take back what this run of the task, or the last one (of each task of a project), wrote; no more",
    )
    add_server_arguments(parser)
    kept = "the same command does the rest"
    parser.set_defaults(run=lambda parsed: told("segments", lambda: _segments(parsed), kept))


def _fps(text: str) -> float:
    return number(text, "frames a second, such as 25 or 29.97", lambda value: 0 < value < 1e6)


def _segments(parsed: argparse.Namespace) -> int:
    with connected(parsed, writes=parsed.write or parsed.undo is not None) as client:
        if parsed.undo is not None:
            _undo(parsed, client)
            return DONE
        found = _found(parsed, client)
        _report(parsed, found)
        for one in found if parsed.write else ():
            _write(parsed, client, one)
    return DONE


def _found(parsed: argparse.Namespace, client: Any) -> "list[TaskSegments]":
    """The ranges of each task; of a job their parts in it. Raises CvatError where no run has looked for tags."""
    from promptable.cvat.segments.segments import TaskSegments, parts_on, segments
    from promptable.cvat.segments.viterbi import Smoothing
    from promptable.cvat.server.frames import Frames

    smoothing, found = Smoothing(parsed.min_length, parsed.min_gap), []
    for frames, tags in _tagged(parsed, client):
        whole = frames if parsed.job is None else Frames(client, task=frames.task.id)
        ranges = parts_on(segments(tags, whole.numbers, smoothing), frames.numbers)
        found.append(TaskSegments(frames, [tag.label for tag in tags], ranges))
    if not found:
        raise CvatError(
            "no run of promptable annotate has looked for a label of type tag here, as far as the journal on this "
            "machine knows: a labels.yaml has '- {name: night, type: tag, prompts: [dark street]}'"
        )
    return found


def _tagged(parsed: argparse.Namespace, client: Any) -> "Iterator[tuple[Frames, list[TagScores]]]":
    """The tasks in which a run has looked for tags, and their scores; of a project's others is said why not."""
    from promptable.cvat.journal import JournalReader, path_of
    from promptable.cvat.segments.scores import tag_scores

    for frames in sources(parsed, client, left_alone):
        path = path_of(client, frames.task)
        if parsed.project is not None and not path.exists():
            left_alone(f"task {frames.task.id} has no journal here")
            continue
        with closing(JournalReader(path)) as journal:
            tags = tag_scores(journal)
        if tags:
            yield frames, tags
        elif parsed.project is not None:
            left_alone(f"in task {frames.task.id} no run has looked for a label of type tag")


def _report(parsed: argparse.Namespace, found: "Sequence[TaskSegments]") -> None:
    """The ranges in their file, and shown."""
    from promptable.cvat.segments.segments import write_csv

    write_csv(parsed.output, found, parsed.fps)
    rows = [
        [*_task(parsed, task), one.label, one.frames[0], one.frames[-1], len(one.frames), _shown(one.mean_score)]
        for task in found
        for one in task.segments
    ]
    headings = ("label", "from", "to", "frames", "mean score")
    show(headings if parsed.project is None else ("task", *headings), rows)
    for task in found:
        if task.nowhere:
            where = "".join(f"task {number}: " for number in _task(parsed, task))
            say(f"{where}nowhere: {', '.join(task.nowhere)}")
    if parsed.fps is None and any(task.frames.is_video for task in found):
        say("CVAT does not know how many frames a second the video has: --fps adds times")
    say(f"{counted(len(rows), 'range')}\n{parsed.output}")


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _task(parsed: argparse.Namespace, one: "TaskSegments") -> list[int]:
    """The number of the task where there are several."""
    return [] if parsed.project is None else [int(one.frames.task.id)]


def _write(parsed: argparse.Namespace, client: Any, one: "TaskSegments") -> None:
    from promptable.cvat.journal import Journal

    with Journal.of_task(client, one.frames.task) as journal:
        say_task(parsed, one.frames)
        writer = _writer(client, journal, one.frames)
        changes, left = writer.plan(one.segments, one.labels)
        for sentence in left:
            left_alone(sentence)
        if kept := sum(change.left_to_people for change in changes):
            left_alone(f"{counted(kept, 'frame')} whose tag people have taken away")
        run = writer.write(changes)
    if run is None:
        say("the tags in CVAT are those of the ranges")
        return
    added, removed = (sum(len(getattr(change, name)) for change in changes) for name in ("adds", "removes"))
    say(f"run {run}: {counted(added, 'tag')} added, {removed} taken away")


def _undo(parsed: argparse.Namespace, client: Any) -> None:
    from promptable.cvat.annotate.writing.undo import undo
    from promptable.cvat.journal import Journal
    from promptable.cvat.progress import Progress
    from promptable.cvat.segments.write import COMMAND

    for frames, run in runs_meant(parsed, client, COMMAND):
        with Journal.of_task(client, frames.task) as journal, Progress() as progress:
            taken = undo(client, journal, run, frames.task.id, progress, completed=False, command=COMMAND)
        what = f"{counted(taken.gone, 'tag')} taken away"
        say_taken(run, what, taken, f"set it back to 'in progress' in CVAT and give --undo {run} again")


def _writer(client: Any, journal: "Journal", frames: "Frames") -> "Writer":
    """With what was under way when a run was stopped looked up. Raises CvatError."""
    from promptable.cvat.labels.task_labels import task_labels
    from promptable.cvat.segments.write import Writer

    writer = Writer(client, journal, frames, task_labels(client, frames.task.id))
    writer.settle()
    return writer
