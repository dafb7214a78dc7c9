"""Segments: ranges of frames in which a tag holds, and the CSV file with them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptable.cvat.escaping import for_a_spreadsheet
from promptable.cvat.segments.scores import TagScores
from promptable.cvat.segments.viterbi import Smoothing, ranges
from promptable.cvat.server.frames import Frames

COLUMNS = ("task", "label", "first_frame", "last_frame", "start_s", "end_s", "frames", "mean_score")


@dataclass(frozen=True)
class Segment:
    """A range of ``frames`` in which a label holds: their numbers in the task, without deleted ones.

    ``mean_score`` is the mean of the known scores on these frames; None if there are none.
    """

    label: str
    frames: Sequence[int]
    mean_score: float | None


@dataclass(frozen=True)
class TaskSegments:
    """The ``segments`` of a task, and the ``labels`` of all tags that runs have looked for there."""

    frames: Frames
    labels: Sequence[str]
    segments: Sequence[Segment]

    @property
    def nowhere(self) -> list[str]:
        """The labels without a segment."""
        return sorted(set(self.labels) - {one.label for one in self.segments})


def segments(tags: Iterable[TagScores], frames: Sequence[int], smoothing: Smoothing) -> list[Segment]:
    """The segments of every tag in these frames, sorted by label, then by frame."""
    return [
        Segment(tag.label, within, _mean(tag, within))
        for tag in sorted(tags, key=lambda tag: tag.label)
        for found in ranges(tag.evidence(frames), smoothing)
        for within in [frames[found.start : found.stop]]
    ]


def parts_on(found: Iterable[Segment], frames: Iterable[int]) -> list[Segment]:
    """The parts of segments that lie on these frames, with the mean scores of the whole segments."""
    shown = set(frames)
    parts = (replace(one, frames=[number for number in one.frames if number in shown]) for one in found)
    return [one for one in parts if one.frames]


def _mean(tag: TagScores, frames: Sequence[int]) -> float | None:
    scores = [score for number in frames if (score := tag.scores.get(number)) is not None]
    return sum(scores) / len(scores) if scores else None


def write_csv(path: Path, found: Iterable[TaskSegments], fps: float | None) -> None:
    """Write a row for each segment. Times are seconds in the video that the task was made from.

    A segment ends at the time of the frame after its last one. Times are empty without ``fps``: CVAT does not know it.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(task.frames, one, fps) for task in found for one in task.segments)


def _row(frames: Frames, one: Segment, fps: float | None) -> tuple[object, ...]:
    first, last = one.frames[0], one.frames[-1]
    times = ("", "") if fps is None else (_seconds(frames, first, fps), _seconds(frames, last + 1, fps))
    score = "" if one.mean_score is None else f"{one.mean_score:.4f}"
    return frames.task.id, for_a_spreadsheet(one.label), first, last, *times, len(one.frames), score


def _seconds(frames: Frames, number: int, fps: float) -> str:
    return f"{frames.in_source(number) / fps:.3f}"
