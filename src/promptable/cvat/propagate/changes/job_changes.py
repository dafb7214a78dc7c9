"""What becomes of an object in a job: masks or a track that are created, updated, shortened or deleted."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace

from promptable.cvat.geometry.position import MASK, position_of
from promptable.cvat.propagate.changes.earlier_forms import EarlierForms
from promptable.cvat.propagate.changes.handover import is_seen, outside_in_form, rest_of
from promptable.cvat.propagate.changes.items import Change, deleted, shortened
from promptable.cvat.propagate.changes.job_part import JobPart
from promptable.cvat.propagate.changes.masks import mask_shapes
from promptable.cvat.propagate.changes.tracks import track_of, written_frames
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import RunWrites
from promptable.cvat.propagate.objects import Copy
from promptable.cvat.propagate.options import Options
from promptable.cvat.seams import Seams


class JobChanges:
    """The changes in each job of a run.

    ``in_other_jobs`` are the frames, by job, whose masks are not written there since another job has them; it grows.
    """

    def __init__(
        self, run_writes: RunWrites, earlier_forms: EarlierForms, seams: Seams, jobs: Collection[int], options: Options
    ) -> None:
        """``jobs`` are those that the run writes into."""
        self.in_other_jobs: dict[int, set[int]] = defaultdict(set)
        self._run_writes = run_writes
        self._earlier_forms = earlier_forms
        self._seams = seams
        self._jobs = jobs
        self._keyframe_iou = options.keyframe_iou
        self._stays_open = options.only_backward

    def of(self, part: JobPart, job: int) -> Iterator[Change]:
        """The changes for an object in a job. Raises CvatError."""
        one, copy = part.object, part.object.copy_in(job)
        if one.changes_form and copy is not None and part.found:
            yield from self._handed_over(part, copy)
        elif one.form == MASK:
            yield from self._masks(part, copy, job)
        elif part.is_seen or (copy is not None and one.is_track and not one.changes_form):
            yield from self._track(part, copy)
        yield from self._earlier_forms.give_way(part, job)

    def _handed_over(self, part: JobPart, copy: Copy) -> Iterator[Change]:
        """A track goes on in another form.

        If it is seen on no other frame, and the new form is a track too, it becomes the new track. Otherwise it is
        shortened, and the new form is created beside it.
        """
        written = self._run_writes.keyframes(copy.item["id"])
        rest, borders = rest_of(copy.item, part, written, stays_open=self._stays_open)
        if part.is_seen and part.object.form != MASK and (rest is None or not is_seen(rest)):
            outside = {} if rest is None else outside_in_form(rest, part)
            yield from self._track(replace(part, kept=outside), copy)
            return
        if part.object.form == MASK:
            yield from self._masks(part, None, copy.job)
        elif part.is_seen:
            yield from self._track(part, None)
        yield shortened(copy.item, rest, borders, part.object.number)

    def _track(self, part: JobPart, copy: Copy | None) -> Iterator[Change]:
        """Create a track, or update the track ``copy``. A shape ``copy`` is deleted: the track has it as a keyframe."""
        track = track_of(part, self._keyframe_iou)
        item = {"kind": TRACK, "object": part.object.number, "new": track, "own": written_frames(part, track)}
        if copy is None or copy.kind == SHAPE:
            yield "create", item | {"before": None}
        else:
            unchanged = {key: copy.item[key] for key in ("id", "attributes", "group")}
            yield "update", item | {"new": track | unchanged, "before": copy.item, "id": copy.item["id"]}
        if copy is not None and copy.kind == SHAPE:
            yield "delete", deleted(copy.item, part.object.number)

    def _masks(self, part: JobPart, copy: Copy | None, job: int) -> Iterator[Change]:
        """Create the masks that no other job has. The drawn shape ``copy`` becomes a mask of their group."""
        one = part.object
        for shape in mask_shapes(part):
            if self._seams.is_elsewhere(job, shape["frame"], one.label_id, position_of(shape), self._jobs):
                self.in_other_jobs[job].add(shape["frame"])
            else:
                yield "create", {"kind": SHAPE, "object": one.number, "new": shape, "before": None}
        drawn = part.found.get(one.frame)
        if copy is not None and drawn is not None and (copy.item["type"] != MASK or copy.item["group"] != part.group):
            new = {**copy.item, "type": MASK, "points": list(drawn.points), "rotation": 0, "group": part.group}
            yield "update", {**deleted(copy.item, one.number), "new": new}
