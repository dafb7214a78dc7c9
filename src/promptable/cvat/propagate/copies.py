"""Which annotations are of one object: jobs that share frames have a copy each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.journal import RunWrites
from promptable.cvat.propagate.objects import Copy
from promptable.cvat.server.annotations import Annotations


def merged(starts: Iterable[tuple[Copy, Position]]) -> Iterator[tuple[list[Copy], Position]]:
    """The objects of a frame, each with its copies in the jobs that show the frame, and its position.

    Annotations of the same kind, label, form and place are one object, unless a job has several of them: then people
    have drawn it twice, and each is an object.
    """
    groups: dict[tuple[Any, ...], list[tuple[Copy, Position]]] = {}
    for copy, position in starts:
        points = tuple(round(number) for number in position.points)
        groups.setdefault((copy.kind, copy.item["label_id"], position.form, points), []).append((copy, position))
    for group in groups.values():
        jobs = [copy.job for copy, _ in group]
        if len(set(jobs)) == len(jobs):
            yield [copy for copy, _ in group], group[0][1]
        else:
            yield from (([copy], position) for copy, position in group)


class TracksOfObjects:
    """Finds the tracks of other jobs with which a track goes on. A track belongs to one object only.

    ``taken`` are the ids of the tracks that belong to an object already.
    """

    def __init__(
        self, annotations: Mapping[int, Annotations], ranges: Mapping[int, range], run_writes: RunWrites
    ) -> None:
        """``annotations`` and ``ranges``, the frames, are those of each job."""
        self.taken: set[int] = set()
        self._annotations = annotations
        self._ranges = ranges
        self._run_writes = run_writes

    def all_of(self, copies: Sequence[Copy]) -> list[Copy]:
        """The tracks ``copies`` of an object, and the tracks of other jobs with which it goes on; one a job at most."""
        found = list(copies)
        for copy in found:  # grows meanwhile: a track that was found may go on in a third job
            self.taken.add(copy.item["id"])
            for job in [number for number in self._annotations if number not in {one.job for one in found}]:
                free = [track for track in self._annotations[job]["tracks"] if track["id"] not in self.taken]
                found += [Copy(job, TRACK, track) for track in self._continuations(copy, job, free)][:1]
        return found

    def _continuations(self, copy: Copy, job: int, free: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The tracks, of those ``free`` in another job, with which a track goes on.

        These are the ones that a run wrote for the same object, whatever people have changed since. If there are none,
        they are those that overlap it on the frames that both jobs show, by which CVAT itself joins tracks.
        """
        alike = [track for track in free if _is_alike(copy.item, track)]
        same = self._run_writes.same_object({copy.key})
        shared = sorted(set(self._ranges[job]) & set(self._ranges[copy.job]))
        return [track for track in alike if (TRACK, track["id"]) in same] or [
            track for track in alike if _overlaps(copy.item, track, shared)
        ]


def _is_alike(track: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two tracks have the same label and form, and the other one is not a skeleton (with ``elements``)."""
    if track["label_id"] != other["label_id"] or other.get("elements") or not other["shapes"]:
        return False
    return bool(track["shapes"][0]["type"] == other["shapes"][0]["type"])


def _overlaps(track: Mapping[str, Any], other: Mapping[str, Any], frames: Sequence[int]) -> bool:
    """Whether two tracks are seen together on some of the frames, and overlap wherever they are."""
    pairs = [(position_at(track, frame), position_at(other, frame)) for frame in frames]
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return bool(both) and all(one.overlaps(two) for one, two in both)
