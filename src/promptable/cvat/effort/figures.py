"""The figures of a report, from the verdicts."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from promptable.cvat.effort.intervals import wilson
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.tracks import JudgedTrack
from promptable.cvat.effort.judging.verdicts import ACCEPTED, CORRECTED, Judged, Verdict

BINS = 10
"""Of confidence: a tenth each."""
_WORST = 20
_WORST_TRACKS = 10


@dataclass(frozen=True)
class LabelEffort:
    """How many of a label's objects got which verdict."""

    name: str
    counts: Mapping[Verdict, int]

    @property
    def automatic(self) -> int:
        """How many a run wrote."""
        return sum(count for verdict, count in self.counts.items() if verdict is not Verdict.ADDED)

    @property
    def accepted(self) -> int:
        return sum(self.counts.get(verdict, 0) for verdict in ACCEPTED)

    @property
    def reviewed(self) -> int:
        """How many objects people decided on, those that they added among them."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Acceptance:
    """Of the automatic labels with a confidence in [``low``, ``high``): how many, and how many people accepted."""

    low: float
    high: float
    count: int
    accepted: int

    @property
    def interval(self) -> tuple[float, float]:
        """95% of the share, by Wilson."""
        return wilson(self.accepted, self.count)


@dataclass
class Effort:
    """Collects verdicts, on shapes and tags, and on tracks; keeps what was where only of the worst."""

    judged: list[Judged] = field(default_factory=list)
    tracks: list[Judged] = field(default_factory=list)
    frames: int = 0
    worst: list[tuple[tuple[int, int, int], int, JudgedFrame]] = field(default_factory=list)
    worst_tracks: list[JudgedTrack] = field(default_factory=list)
    """Those of which the most was wrong, that first."""

    def add(self, frame: JudgedFrame) -> None:
        """Take a frame's verdicts in."""
        self.frames += 1
        self.judged += [replace(one, before=None, after=None) for one in frame.judged]
        if any(badness := _badness(frame.judged)):
            heapq.heappush(self.worst, (badness, -self.frames, frame))
            self.worst = heapq.nlargest(_WORST, self.worst)

    def add_track(self, track: JudgedTrack) -> None:
        """Take the verdict on a track in."""
        self.tracks.append(track.judged)
        if track.wrong:
            self.worst_tracks = heapq.nlargest(_WORST_TRACKS, [*self.worst_tracks, track], key=lambda one: one.wrong)

    def labels(self) -> list[LabelEffort]:
        """By label, those with the most to correct first."""
        return by_label(self.judged)

    def of_label(self, name: str) -> list[Judged]:
        return [one for one in self.judged if one.label == name]

    def total(self) -> LabelEffort:
        return LabelEffort("all", dict(Counter(one.verdict for one in self.judged)))

    def worst_frames(self) -> list[JudgedFrame]:
        """The frames with the most to correct, that first."""
        return [frame for _, _, frame in sorted(self.worst, reverse=True)]

    def mistaken(self) -> list[tuple[str, str, int]]:
        """What was taken for what, and how often: the label of the run, that of people."""
        judged = [*self.judged, *self.tracks]
        pairs = Counter((one.label, one.became) for one in judged if one.became is not None)
        return [(label, became or "", count) for (label, became), count in pairs.most_common()]


def by_label(judged: Iterable[Judged]) -> list[LabelEffort]:
    """Those with the most to correct first."""
    counts: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for one in judged:
        counts[one.label][one.verdict] += 1
    labels = [LabelEffort(name, dict(of_label)) for name, of_label in counts.items()]
    return sorted(labels, key=lambda label: (label.accepted - label.reviewed, label.name))


def _badness(judged: Sequence[Judged]) -> tuple[int, int, int]:
    """How much was wrong or missed, then how much of that was more than moved a little, then how much was retouched."""
    verdicts = Counter(one.verdict for one in judged)
    wrong = sum(verdicts[verdict] for verdict in (*CORRECTED, Verdict.ADDED))
    return wrong, wrong - verdicts[Verdict.EDITED], verdicts[Verdict.MINOR]


def acceptance(judged: Iterable[Judged]) -> list[Acceptance]:
    """By confidence, the bins that hold something."""
    bins: dict[int, list[bool]] = defaultdict(list)
    for one in judged:
        if one.score is not None:
            bins[min(int(one.score * BINS + 1e-6), BINS - 1)].append(one.accepted)
    return [Acceptance(i / BINS, (i + 1) / BINS, len(bins[i]), sum(bins[i])) for i in sorted(bins)]


@dataclass(frozen=True)
class Saved:
    """Seconds, from what somebody says an object takes to draw, and one to correct or to delete.

    Looking is not counted: whoever draws by hand looks too. ``drawing`` is what all that is there now would have taken;
    ``correcting`` what was left to do.
    """

    drawing: float
    correcting: float

    @property
    def seconds(self) -> float:
        return self.drawing - self.correcting


def saved(total: LabelEffort, per_box: float, per_edit: float | None) -> Saved:
    """``per_edit`` None: a correction is as dear as a drawing, so that only what was left unchanged saves anything."""
    count = total.counts.get
    edit = per_box if per_edit is None else per_edit
    there = total.reviewed - count(Verdict.DELETED, 0)
    touched = sum(count(verdict, 0) for verdict in (Verdict.MINOR, *CORRECTED))
    return Saved(there * per_box, touched * edit + count(Verdict.ADDED, 0) * per_box)
