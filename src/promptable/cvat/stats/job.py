"""One job looked through: what it adds to the figures, and what looks wrong in it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.stats.checks import check, jumps
from promptable.cvat.stats.faults import Fault, Kind
from promptable.cvat.stats.figures import SIZED, Figures, LabelFigures
from promptable.cvat.stats.objects import JobObjects, Rows, Track
from promptable.cvat.stats.tracks import TrackBoxes

_SAME_TRACK = 0.5
"""IoU."""
_BLOCK = 256
"""Frames on which all tracks are looked at together: what that takes does not grow with a job's length."""


@dataclass(frozen=True)
class JobView:
    """A job, and which of its ``frames`` [N] count, in order; ``hw`` [N, 2] are their heights and widths.

    ``names`` are the labels' by CVAT's ids; a frame with nothing but tags of those that ``marks`` names is empty.
    """

    task: int
    job: int
    stop_frame: int
    frames: NDArray[np.int64]
    hw: NDArray[np.int64]
    names: Mapping[int, str]
    marks: frozenset[str]


@dataclass(frozen=True)
class OpenTrack:
    """A track that nothing closes in its job: its ``box`` [4] is held up to the frame before ``goes_on``."""

    fault: Fault
    box: NDArray[np.float64]
    goes_on: int


class JobLook:
    """A job on its way into the figures.

    ``open`` are the tracks that are at fault unless a later job goes on with them: where CVAT cuts one that stands
    still at the border of two jobs, the first part has nothing that closes it.
    """

    def __init__(self, figures: Figures, view: JobView) -> None:
        self._figures = figures
        self._view = view
        self._objects = np.zeros(len(view.frames), np.int64)
        self._tagged: dict[str, NDArray[np.bool_]] = {}
        self._sources: Counter[str] = Counter()
        self._told: set[tuple[Kind, int]] = set()
        self._tracks: Mapping[str, Sequence[Track]] = {}
        self.open: list[OpenTrack] = []

    def through(self, annotations: Mapping[str, Any]) -> dict[str, Any]:
        """Look through all of it; returns counts by the names of ``JobFigures``."""
        objects = JobObjects(annotations, self._view.frames, self._view.names, self._broken)
        self._tracks = objects.tracks
        tags = self._tags(annotations["tags"])
        for name in sorted({*objects.labels, *self._tagged}):
            self._label(self._figures.labels[name], objects)
        self._figures.per_frame.update(self._objects.tolist())
        tagged = [frames for name, frames in self._tagged.items() if name not in self._view.marks]
        empty = (self._objects == 0) & ~np.any([self._nowhere(), *tagged], 0)
        for frame in self._view.frames[empty].tolist():
            self._figures.faults.add(Fault(Kind.EMPTY, self._view.task, self._view.job, frame))
        return {
            "annotated_frames": int((~empty).sum()),
            "shapes": len(objects.shapes),
            "tracks": sum(map(len, objects.tracks.values())),
            "tags": tags,
            "objects": int(self._objects.sum()),
            "sources": dict(self._sources),
        }

    def _nowhere(self) -> NDArray[np.bool_]:
        return np.zeros(len(self._view.frames), np.bool_)

    def _label(self, label: LabelFigures, objects: JobObjects) -> None:
        shown = np.zeros(len(self._view.frames), np.int64)
        pieces = []
        for first in range(0, len(shown), _BLOCK):
            rows = objects.rows(label.name, max(0, first - 1), first + _BLOCK)  # a jump may be from block to block
            self._tell(
                label.name, rows, [one for one in jumps(rows, self._view.frames) if rows[one[1]]["index"] >= first]
            )
            rows = rows[rows["index"] >= first]
            self._tell(label.name, rows, check(rows, self._view.hw, objects.shapes))
            shown += np.bincount(rows["index"], minlength=len(shown))
            pieces.append(self._sized(rows))
        label.sizes[self._view.task, self._view.job] = np.concatenate([np.zeros(0, SIZED), *pieces])
        label.frames += int(((shown > 0) | self._tagged.get(label.name, self._nowhere())).sum())
        self._objects += shown
        self._count(label, objects)

    def _count(self, label: LabelFigures, objects: JobObjects) -> None:
        tracks = [track for track, _ in objects.tracks.get(label.name, ())]
        shapes = objects.shapes_of(label.name)
        label.shapes += len(shapes)
        label.tracks += len(tracks)
        self._add_sources(label, [*shapes, *tracks])
        self.open += [one for track in objects.tracks.get(label.name, ()) for one in self._open(label.name, *track)]

    def _open(self, label: str, track: Mapping[str, Any], boxes: TrackBoxes) -> Iterator[OpenTrack]:
        held, stop = int(boxes.frames[-1]), self._view.stop_frame
        shown, extents = boxes.on(np.array([held]))
        if shown[0] and held < stop:
            detail = f"held from frame {held} to {stop}"
            fault = Fault(Kind.OPEN, self._view.task, self._view.job, held, label, track["id"], detail)
            yield OpenTrack(fault, extents[0, :4], stop + 1)

    def goes_on_with(self, track: OpenTrack) -> bool:
        """Whether this job has a track of the label where another job's would be next."""
        own = [
            boxes.on(np.array([track.goes_on]))[1][0, :4] for _, boxes in self._tracks.get(track.fault.label or "", ())
        ]
        return any(box_iou(box, track.box) >= _SAME_TRACK for box in own)

    def _tags(self, tags: Iterable[Mapping[str, Any]]) -> int:
        """Count tags; returns how many."""
        places = {frame: index for index, frame in enumerate(self._view.frames.tolist())}
        counted = 0
        for tag in tags:
            name, index = self._view.names.get(tag["label_id"]), places.get(tag["frame"])
            if name is None or index is None:
                continue
            self._figures.labels[name].tags += 1
            self._add_sources(self._figures.labels[name], [tag])
            self._tagged.setdefault(name, self._nowhere())[index] = True
            counted += 1
        return counted

    def _add_sources(self, label: LabelFigures, items: Sequence[Mapping[str, Any]]) -> None:
        sources = Counter(str(item.get("source", "manual")) for item in items)
        label.sources += sources
        self._sources += sources

    def _tell(self, label: str, rows: Rows, findings: Iterable[tuple[Kind, int, str]]) -> None:
        """Of a track once, but for each of its jumps."""
        for kind, at, detail in findings:
            row = rows[at]
            key = kind, int(row["id"])
            if row["is_track"] and kind is not Kind.JUMPS:
                if key in self._told:
                    continue
                self._told.add(key)
            self._fault(kind, int(self._view.frames[row["index"]]), label, int(row["id"]), detail)

    def _broken(self, item: Mapping[str, Any], label: str, why: str) -> None:
        self._fault(Kind.BROKEN, item["frame"], label, item["id"], why)

    def _fault(self, kind: Kind, frame: int, label: str, number: int, detail: str) -> None:
        self._figures.faults.add(Fault(kind, self._view.task, self._view.job, frame, label, number, detail))

    def _sized(self, rows: Rows) -> NDArray[np.void]:
        sized = np.zeros(len(rows), SIZED)
        sized["id"], sized["frame"], sized["is_track"] = rows["id"], self._view.frames[rows["index"]], rows["is_track"]
        sized["width"], sized["height"] = (rows["box"][:, 2:] - rows["box"][:, :2]).T
        sized["area"] = rows["area"]
        return sized
