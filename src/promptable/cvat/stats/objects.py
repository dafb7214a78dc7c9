"""The objects on the frames of a job, as rows: one for each shape, and for each frame on which a track is seen."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry.extent import extent_of
from promptable.cvat.stats.tracks import TrackBoxes

ROW = np.dtype([("index", "i4"), ("id", "i8"), ("is_track", "?"), ("box", "f8", 4), ("area", "f8")])
"""An object on a frame: ``index`` is the frame's among those of the job that count, ``id`` is CVAT's.

``box`` is x1, y1, x2, y2, in pixels; it and ``area`` are NaN if there is none.
"""
Rows = NDArray[np.void]
Track = tuple[Mapping[str, Any], TrackBoxes]

Broken = Callable[[Mapping[str, Any], str, str], None]
"""Called for a broken shape or track, with the item, its label's name, and why."""


class JobObjects:
    """The shapes and tracks of a job, by label."""

    def __init__(
        self, annotations: Mapping[str, Any], frames: NDArray[np.int64], names: Mapping[int, str], broken: Broken
    ) -> None:
        """Reads what lies on ``frames`` [N], ascending, and has a label in ``names``, which are by CVAT's ids."""
        self.frames = frames
        self._names = names
        self._broken = broken
        self.shapes: dict[int, Mapping[str, Any]] = {}
        self.tracks: dict[str, list[Track]] = defaultdict(list)
        self._shape_rows = self._read_shapes(annotations["shapes"])
        self._read_tracks(annotations["tracks"])

    @property
    def labels(self) -> list[str]:
        """The names of the labels with shapes or tracks, sorted."""
        return sorted({*self._shape_rows, *self.tracks})

    def shapes_of(self, label: str) -> list[Mapping[str, Any]]:
        return [self.shapes[number] for number in self._shape_rows.get(label, np.zeros(0, ROW))["id"].tolist()]

    def rows(self, label: str, first: int, stop: int) -> Rows:
        """The rows of a label on the frames with indices from ``first`` to before ``stop``."""
        shapes = self._shape_rows.get(label, np.zeros(0, ROW))
        begin, end = np.searchsorted(shapes["index"], (first, stop))
        shown = [one for one in self.tracks.get(label, ()) if one[1].may_be_on(self.frames[first:stop])]
        tracks = [self._track_rows(track, boxes, first, stop) for track, boxes in shown]
        return np.concatenate([shapes[begin:end], *tracks])

    def _read_shapes(self, shapes: Iterable[Mapping[str, Any]]) -> dict[str, Rows]:
        """The rows of shapes by label, sorted by frame."""
        rows: dict[str, list[Any]] = defaultdict(list)
        places = {int(frame): index for index, frame in enumerate(self.frames)}
        for shape in shapes:
            name, index = self._names.get(shape["label_id"]), places.get(shape["frame"])
            if name is None or index is None:
                continue
            self.shapes[shape["id"]] = shape
            rows[name].append((index, shape["id"], False, *self._extent(shape, name)))
        return {name: np.sort(np.array(own, ROW), order="index", kind="stable") for name, own in rows.items()}

    def _extent(self, shape: Mapping[str, Any], name: str) -> tuple[Any, float]:
        try:
            extent = extent_of(shape)
        except ValueError as error:
            self._broken(shape, name, str(error))
            return [np.nan] * 4, np.nan
        return extent.box, np.nan if extent.area is None else extent.area

    def _read_tracks(self, tracks: Iterable[Mapping[str, Any]]) -> None:
        for track in tracks:
            name = self._names.get(track["label_id"])
            if name is None:
                continue
            try:
                self.tracks[name].append((track, TrackBoxes(track)))
            except ValueError as error:
                self._broken(track, name, str(error))

    def _track_rows(self, track: Mapping[str, Any], boxes: TrackBoxes, first: int, stop: int) -> Rows:
        shown, extents = boxes.on(self.frames[first:stop])
        rows = np.zeros(int(shown.sum()), ROW)
        rows["index"], rows["id"], rows["is_track"] = np.flatnonzero(shown) + first, track["id"], True
        rows["box"], rows["area"] = extents[shown, :4], extents[shown, 4]
        return rows
