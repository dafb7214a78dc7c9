"""Where the objects of a run are written: as they were found, up to where another annotation is in their place."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

from promptable.cvat.geometry.position import Placed, Position
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.objects import Object, found_on
from promptable.cvat.server.annotations import Annotations

Positions = Mapping[int, Position | None]
"""Where an object is, by frame; None where it is lost."""


class FoundPositions:
    """The positions at which the objects of a run are written."""

    def __init__(
        self,
        journal: TrackJournal,
        run: int,
        annotations: Sequence[Annotations],
        other_objects: Sequence[Mapping[int, Sequence[Placed]]],
        leave_out: Callable[[str], None],
    ) -> None:
        """``annotations`` are those of each job; ``other_objects`` are ``people_annotations.other_objects`` of each.

        ``leave_out`` is told, in sentences, what is not written.
        """
        self._leave_out = leave_out
        self._journal = journal
        self._run = run
        self._annotations = annotations
        self._other_objects = other_objects

    def of(self, one: Object) -> Positions:
        """The positions of an object that are written, sorted by frame.

        In each direction they end before the first frame on which people have another object of the label at its place.
        Those of an object that a detector found also end where CVAT shows anything of the label there, so that no frame
        has it twice.
        """
        found = dict(self._journal.positions(self._run, one.number))
        if one.changes_form and found.get(one.frame) is None:
            self._leave_out(f"{one.name}: the tracker sees nothing in it")
            return {}
        if one.form == one.start.form:
            found[one.frame] = one.start  # a rotated rectangle stays rotated: the tracker answers an upright one
        met = set(self._met(one, found))
        if one.frame in met:
            return {}
        if met:
            nearest = min(sorted(met), key=lambda frame: abs(frame - one.frame))
            self._leave_out(f"{one.name} from frame {nearest} on, where people have one of its label at its place")
        shown = {frame for frame in found if self._is_shown(one, frame, found[frame])}
        return _around(one.frame, found, met | shown)

    def _met(self, one: Object, found: Positions) -> Iterator[int]:
        """The frames on which people have another object of the label at the object's place."""
        for others in self._other_objects:
            for frame in others.keys() & found.keys():
                starts_drawn = frame == one.frame and one.copies
                if not starts_drawn and _is_double(one, found[frame], others[frame]):
                    yield frame

    def _is_shown(self, one: Object, frame: int, position: Position | None) -> bool:
        """Whether CVAT shows something of the label at the place of an object that a detector found.

        Not on the frame on which it was found: the detector was asked for what CVAT does not show.
        """
        if one.copies or frame == one.frame:
            return False
        shown = [item for annotations in self._annotations for item in found_on(annotations, frame)]
        return _is_double(one, position, [Placed(item["label_id"], there) for _, item, there in shown])


def _is_double(one: Object, position: Position | None, others: Iterable[Placed]) -> bool:
    """Whether one of the others has the object's label and is at its position."""
    return position is not None and any(placed.is_double(one.label_id, position) for placed in others)


def _around(first: int, found: Positions, blocked: Set[int]) -> Positions:
    """The positions between the blocked frames that are nearest to ``first``, before it and after it."""
    end = min((frame for frame in blocked if frame > first), default=None)
    begin = max((frame for frame in blocked if frame < first), default=None)
    return {
        frame: found[frame]
        for frame in sorted(found)
        if (end is None or frame < end) and (begin is None or frame > begin)
    }
