"""The figures of a report, computed from verdicts."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from promptable.cvat.effort.intervals import wilson
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.tracks import JudgedTrack
from promptable.cvat.effort.judging.verdicts import ACCEPTED, CORRECTED, Judged, Verdict

BINS = 10
"""Bins of confidence, a tenth wide each."""
_WORST = 20
_WORST_TRACKS = 10
"""How many of the worst frames, and tracks, a report shows."""


@dataclass(frozen=True)
class LabelEffort:
    """How many objects of a label have which verdict."""

    name: str
    counts: Mapping[Verdict, int]

    @property
    def automatic(self) -> int:
        """How many of them runs wrote."""
        return sum(count for verdict, count in self.counts.items() if verdict is not Verdict.ADDED)

    @property
    def accepted(self) -> int:
        return sum(self.counts.get(verdict, 0) for verdict in ACCEPTED)

    @property
    def reviewed(self) -> int:
        """How many objects people have decided on, including those that they added."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Acceptance:
    """How many automatic labels have a confidence in [``low``, ``high``), and how many of them people accepted."""

    low: float
    high: float
    count: int
    accepted: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accepted share, by Wilson."""
        return wilson(self.accepted, self.count)


@dataclass
class Effort:
    """Collects the verdicts on shapes and tags (``judged``), and on ``tracks``.

    ``frames`` counts those with a detector's answer, ``mask_frames`` those with masks of ``propagate``.
    Positions are kept for the worst frames and tracks only.
    """

    judged: list[Judged] = field(default_factory=list)
    tracks: list[Judged] = field(default_factory=list)
    frames: int = 0
    mask_frames: int = 0
    worst: list[tuple[tuple[int, int, int], int, JudgedFrame]] = field(default_factory=list)
    worst_tracks: list[JudgedTrack] = field(default_factory=list)
    """The tracks with the most to correct, the worst one first."""

    def add(self, frame: JudgedFrame) -> None:
        """Add the verdicts of a frame."""
        if frame.run is None:
            self.mask_frames += 1
        else:
            self.frames += 1
        self.judged += [replace(one, before=None, after=None) for one in frame.judged]
        if any(badness := _badness(frame.judged)):
            heapq.heappush(self.worst, (badness, -len(self.judged), frame))
            self.worst = heapq.nlargest(_WORST, self.worst)

    def add_track(self, track: JudgedTrack) -> None:
        """Add the verdict on a track."""
        self.tracks.append(track.judged)
        if track.wrong:
            self.worst_tracks = heapq.nlargest(_WORST_TRACKS, [*self.worst_tracks, track], key=lambda one: one.wrong)

    def labels(self) -> list[LabelEffort]:
        """The counts of each label, those with the most to correct first."""
        return by_label(self.judged)

    def of_label(self, name: str) -> list[Judged]:
        return [one for one in self.judged if one.label == name]

    def total(self) -> LabelEffort:
        return LabelEffort("all", dict(Counter(one.verdict for one in self.judged)))

    def worst_frames(self) -> list[JudgedFrame]:
        """The frames with the most to correct, the worst one first."""
        return [frame for _, _, frame in sorted(self.worst, reverse=True)]

    def mistaken(self) -> list[tuple[str, str, int]]:
        """(label of the run, label of people, how often) of what was relabelled, the most frequent first."""
        judged = [*self.judged, *self.tracks]
        pairs = Counter((one.label, one.became) for one in judged if one.became is not None)
        return [(label, became or "", count) for (label, became), count in pairs.most_common()]


def by_label(judged: Iterable[Judged]) -> list[LabelEffort]:
    """The counts of each label, those with the most to correct first."""
    counts: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for one in judged:
        counts[one.label][one.verdict] += 1
    labels = [LabelEffort(name, dict(of_label)) for name, of_label in counts.items()]
    return sorted(labels, key=lambda label: (label.accepted - label.reviewed, label.name))


def _badness(judged: Sequence[Judged]) -> tuple[int, int, int]:
    """By which frames are sorted: how many verdicts are wrong or missed, how many of these are more than edits, and how
    many are minor edits."""
    verdicts = Counter(one.verdict for one in judged)
    wrong = sum(verdicts[verdict] for verdict in (*CORRECTED, Verdict.ADDED))
    return wrong, wrong - verdicts[Verdict.EDITED], verdicts[Verdict.MINOR]


def acceptance(judged: Iterable[Judged]) -> list[Acceptance]:
    """The acceptance in each bin of confidence that is not empty, in order."""
    bins: dict[int, list[bool]] = defaultdict(list)
    for one in judged:
        if one.score is not None:
            bins[min(int(one.score * BINS + 1e-6), BINS - 1)].append(one.accepted)
    return [Acceptance(i / BINS, (i + 1) / BINS, len(bins[i]), sum(bins[i])) for i in sorted(bins)]


@dataclass(frozen=True)
class Saved:
    """The time that automatic labels saved, in seconds, from given times for drawing and for correcting an object.

    ``drawing`` is the time in which all present objects would have been drawn by hand, ``correcting`` the time that was
    spent on corrections and additions. The time for looking is not counted: drawing by hand needs it too.
    """

    drawing: float
    correcting: float

    @property
    def seconds(self) -> float:
        return self.drawing - self.correcting


def saved(total: LabelEffort, per_box: float, per_edit: float | None) -> Saved:
    """The saved time; ``per_box`` is the seconds for drawing an object, ``per_edit`` for correcting or deleting one.

    If ``per_edit`` is None, a correction takes as long as drawing.
    """
    count = total.counts.get
    edit = per_box if per_edit is None else per_edit
    there = total.reviewed - count(Verdict.DELETED, 0)
    touched = sum(count(verdict, 0) for verdict in (Verdict.MINOR, *CORRECTED))
    return Saved(there * per_box, touched * edit + count(Verdict.ADDED, 0) * per_box)
