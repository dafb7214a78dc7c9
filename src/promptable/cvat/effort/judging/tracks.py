"""Judging what runs of ``propagate`` wrote into a job: tracks, and masks.

No track counts as added by hand: a run follows the objects of its first frame, and need not find later ones.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Any

from promptable.cvat.effort.judging.frames import JobNow
from promptable.cvat.effort.judging.matching import LEAST_IOU, one_to_one
from promptable.cvat.effort.judging.verdicts import Judged, Verdict, has_places, same_values, verdict_of_iou
from promptable.cvat.effort.judging.written import Written
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import Write

Item = Mapping[str, Any]
Places = Mapping[int, Position | None]
_SHOWN = 2
"""How many frames of a track are shown, at most."""
_PART = 4
"""They lie apart by at least this part, a quarter, of the track's length."""


@dataclass(frozen=True)
class Correction:
    """Where a track was on a frame and where it is now, None where it is not seen, and the ``iou`` of the two."""

    frame: int
    iou: float
    before: Position | None
    after: Position | None


@dataclass(frozen=True)
class JudgedTrack:
    """The verdict on a track. ``frames`` is the number of reviewed frames on which it was or is seen.

    ``wrong`` is the sum of 1 - IoU over these frames; if the track was relabelled, it is their number. ``corrected``
    are the frames that people have corrected the most, the most corrected one first.
    """

    judged: Judged
    frames: int
    wrong: float
    corrected: Sequence[Correction]


class Propagated:
    """The shapes and tracks that runs of ``propagate`` have left in a job, by CVAT's ids.

    Tracks are as they were written last, shapes as they were written first.
    """

    def __init__(self, writes: Sequence[Write]) -> None:
        self._items: dict[tuple[str, int], Item] = {}
        for item in chain.from_iterable(write.items for write in writes):
            if item.get("id") is None:
                continue  # people deleted it before its id was known
            key = str(item["kind"]), int(item["id"])
            if item["new"] is None:
                self._items.pop(key, None)
            elif key[0] == TRACK or key not in self._items:  # later runs only put a mask into another group
                self._items[key] = item

    def ids(self, kind: str) -> set[int]:
        """The ids of what runs created; what people drew, and runs only put into a group, is left out."""
        return {number for (own, number), item in self._items.items() if own == kind and item["before"] is None}

    def tracks(self) -> dict[int, Item]:
        """The items of tracks, by CVAT's id."""
        return {number: item for (kind, number), item in self._items.items() if kind == TRACK}

    def masks(self, label_of: Mapping[int, str]) -> dict[int, list[Written]]:
        """The masks that runs created, by frame; ``label_of`` are the names of the task's labels, by id.

        Masks that people drew, and runs only put into a group, are left out.
        """
        masks: dict[int, list[Written]] = defaultdict(list)
        for (kind, number), item in self._items.items():
            new = item["new"]
            if kind == SHAPE and item["before"] is None and new["label_id"] in label_of:
                masks[new["frame"]].append(Written(new["frame"], kind, label_of[new["label_id"]], new, number))
        return masks


def judged_tracks(now: JobNow, propagated: Propagated, looked_at: Collection[int]) -> Iterator[JudgedTrack]:
    """The verdicts on tracks, over the frames that people have looked at and on which a run wrote them."""
    there = {track["id"]: track for track in now.annotations["tracks"]}
    written = {number: item for number, item in propagated.tracks().items() if now.label(item["new"]["label_id"])}
    before = {number: _places(item, looked_at) for number, item in written.items()}
    seen = [number for number, places in before.items() if any(places.values())]
    gone = [number for number in seen if number not in there]
    others = [track for number, track in there.items() if number not in written and now.label(track["label_id"])]
    found = one_to_one(len(gone), len(others), lambda i, j: (0, _mean_iou(before[gone[i]], others[j])))
    there |= {gone[i]: others[j] for i, j in found.items()}
    for number in seen:
        yield _judged(now, written[number]["new"], before[number], there.get(number))


def _places(item: Item, looked_at: Collection[int]) -> Places:
    """Where a run has written a track on these frames, by frame; None where it was lost.

    That is between the last keyframe before the run's own ones, and the first after them, which people drew.
    """
    own, keys = item["own"], [key["frame"] for key in item["new"]["shapes"]]
    if not own:
        return {}
    first = max((frame + 1 for frame in keys if frame < min(own)), default=min(own))
    last = min((frame - 1 for frame in keys if frame > max(own)), default=max(own))
    return _placed(item["new"], [frame for frame in sorted(looked_at) if first <= frame <= last])


def _placed(track: Item | None, frames: Iterable[int]) -> Places:
    """Where a track is on these frames, by frame; None everywhere for none, and for one that has keyframes without a
    place."""
    if track is None or not has_places(track):
        return dict.fromkeys(frames)
    return {frame: position_at(track, frame) for frame in frames}


def _mean_iou(before: Places, track: Item) -> float:
    """The mean IoU over the frames on which either is seen; 0 if it is too low for one object."""
    mean = fmean(one.iou for one in _compared(before, track))
    return mean if mean >= LEAST_IOU else 0.0


def _compared(before: Places, there: Item | None) -> list[Correction]:
    """The frames on which a track was or is seen; ``there`` is the track now, None if it is gone."""
    after = _placed(there, before)
    pairs = [(frame, place, after[frame]) for frame, place in before.items()]
    return [Correction(frame, _overlap(one, other), one, other) for frame, one, other in pairs if one or other]


def _overlap(one: Position | None, other: Position | None) -> float:
    if one is None or other is None:
        return 0.0
    return 1.0 if one == other else iou(one, other)


def _judged(now: JobNow, written: Item, before: Places, there: Item | None) -> JudgedTrack:
    label, frames = now.labelled(written), _compared(before, there)
    first = next(frame for frame, place in before.items() if place is not None)
    overlap = fmean(one.iou for one in frames)
    became = None
    if there is None:
        verdict = Verdict.DELETED
    elif there["label_id"] != written["label_id"]:
        verdict, became = Verdict.RELABELLED, now.labelled(there).name
    elif overlap == 1 and same_values(written, there, label):
        verdict = Verdict.UNCHANGED
    else:
        verdict = verdict_of_iou(overlap)
    known = None if there is None else overlap
    judged = Judged(now.task, now.job, first, TRACK, label.name, verdict, iou=known, became=became)
    wrong = len(frames) * (1.0 if verdict is Verdict.RELABELLED else 1 - overlap)
    return JudgedTrack(judged, len(frames), wrong, _most_corrected(frames))


def _most_corrected(frames: Sequence[Correction]) -> list[Correction]:
    """The frames with the least IoU that lie far enough apart; if nobody moved the track, its first frame."""
    apart, chosen = (frames[-1].frame - frames[0].frame) / _PART, list[Correction]()
    for one in sorted((one for one in frames if one.iou < 1), key=lambda one: one.iou):
        if len(chosen) < _SHOWN and all(abs(one.frame - other.frame) >= apart for other in chosen):
            chosen.append(one)
    return chosen or [frames[0]]
