"""Looking through one job: what it adds to the figures, and what looks wrong in it."""

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
"""The least IoU of the boxes of two tracks of neighbouring jobs that are one object."""
_BLOCK = 256
"""Frames on which all tracks are looked at together, so that the memory does not grow with a job's length."""


@dataclass(frozen=True)
class JobView:
    """A job, the ``frames`` [N] of it that count, in order, and their heights and widths, ``hw`` [N, 2].

    ``names`` are the names of labels by CVAT's ids. ``marks`` are the names of tags that mark frames: a frame with no
    other annotations is empty.
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
    """A track without an outside keyframe at its end: it is held at ``box`` [4] up to the frame before ``goes_on``."""

    fault: Fault
    box: NDArray[np.float64]
    goes_on: int


class JobLook:
    """Adds a job to the figures.

    ``open`` are its open tracks, which are faults unless a later job goes on with them: CVAT cuts a track at the border
    of two jobs, and its first part has no outside keyframe then.
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
        """Add the annotations of the job. Returns counts, under the names of the fields of ``JobFigures``."""
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
            rows = objects.rows(label.name, max(0, first - 1), first + _BLOCK)  # for jumps between blocks
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
        """Whether this job has a track of the same label where an open track of an earlier job would go on."""
        own = [
            boxes.on(np.array([track.goes_on]))[1][0, :4] for _, boxes in self._tracks.get(track.fault.label or "", ())
        ]
        return any(box_iou(box, track.box) >= _SAME_TRACK for box in own)

    def _tags(self, tags: Iterable[Mapping[str, Any]]) -> int:
        """Add the tags on the frames that count. Returns how many they are."""
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
        """Add faults. A track has one of each kind, but all its jumps."""
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
