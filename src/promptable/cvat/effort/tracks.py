"""What runs of ``propagate`` wrote into a job against what is there now: tracks, and masks of one group.

Of tracks nothing counts as added by hand: a run follows what it began with, and what appears later it need not find.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any

from promptable.cvat.effort.judging import JobNow
from promptable.cvat.effort.matching import LEAST_IOU, one_to_one
from promptable.cvat.effort.verdicts import Judged, Verdict, same_values, verdict_of_iou
from promptable.cvat.effort.written import Written
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import Write

Item = Mapping[str, Any]
Places = Mapping[int, Position | None]


class Followed:
    """What runs have left in a job, by the server's ids: the last that was written of each, without what they took."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._items: dict[tuple[str, int], Item] = {}
        for item in chain.from_iterable(write.items for write in writes):
            if item.get("id") is None:
                continue  # people took it away before its id was known
            key = str(item["kind"]), int(item["id"])
            if item["new"] is None:
                self._items.pop(key, None)
            else:
                self._items[key] = item

    def ids(self, kind: str) -> set[int]:
        return {number for own, number in self._items if own == kind}

    def tracks(self) -> dict[int, Item]:
        """Items by id."""
        return {number: item for (kind, number), item in self._items.items() if kind == TRACK}

    def masks(self, label_of: Mapping[int, str]) -> dict[int, list[Written]]:
        """By frame; those that people drew and a run only put into a group are not among them."""
        masks: dict[int, list[Written]] = defaultdict(list)
        for (kind, number), item in self._items.items():
            new = item["new"]
            if kind == SHAPE and item["before"] is None and new["label_id"] in label_of:
                masks[new["frame"]].append(Written(new["frame"], kind, label_of[new["label_id"]], new, number))
        return masks


def judged_tracks(now: JobNow, followed: Followed, looked_at: Collection[int]) -> Iterator[Judged]:
    """The verdicts on tracks, on the frames that people have looked at, where a run has put them."""
    there = {track["id"]: track for track in now.annotations["tracks"]}
    written = {number: item for number, item in followed.tracks().items() if now.label(item["new"]["label_id"])}
    before = {number: _places(item, looked_at) for number, item in written.items()}
    seen = [number for number, places in before.items() if any(places.values())]
    gone = [number for number in seen if number not in there]
    others = [track for number, track in there.items() if number not in written and now.label(track["label_id"])]
    found = one_to_one(len(gone), len(others), lambda i, j: (0, _mean_iou(before[gone[i]], others[j])))
    there |= {gone[i]: others[j] for i, j in found.items()}
    for number in seen:
        yield _judged(now, written[number]["new"], before[number], there.get(number))


def _places(item: Item, looked_at: Collection[int]) -> Places:
    """Where a run has put a track, by frame, None where it was lost: between the keyframes around its own."""
    own, keys = item["own"], [key["frame"] for key in item["new"]["shapes"]]
    if not own:
        return {}
    first = max((frame + 1 for frame in keys if frame < min(own)), default=min(own))
    last = min((frame - 1 for frame in keys if frame > max(own)), default=max(own))
    return {frame: position_at(item["new"], frame) for frame in sorted(looked_at) if first <= frame <= last}


def _mean_iou(before: Places, track: Item) -> float:
    """Over the frames on which either is seen; less than that of one object is 0."""
    mean = fmean(_overlaps(before, track))
    return mean if mean >= LEAST_IOU else 0.0


def _overlaps(before: Places, track: Item) -> list[float]:
    pairs = [(place, position_at(track, frame)) for frame, place in before.items()]
    return [_overlap(one, other) for one, other in pairs if one is not None or other is not None]


def _overlap(one: Position | None, other: Position | None) -> float:
    if one is None or other is None:
        return 0.0
    return 1.0 if one == other else iou(one, other)


def _judged(now: JobNow, written: Item, before: Places, there: Item | None) -> Judged:
    label = now.labelled(written)
    first = next(frame for frame, place in before.items() if place is not None)
    if there is None:
        return Judged(now.task, now.job, first, TRACK, label.name, Verdict.DELETED)
    overlap = fmean(_overlaps(before, there))
    if there["label_id"] != written["label_id"]:
        became = now.labelled(there).name
        return Judged(now.task, now.job, first, TRACK, label.name, Verdict.RELABELLED, iou=overlap, became=became)
    verdict = verdict_of_iou(overlap)
    if overlap == 1 and same_values(written, there, label):
        verdict = Verdict.UNCHANGED
    return Judged(now.task, now.job, first, TRACK, label.name, verdict, iou=overlap)
