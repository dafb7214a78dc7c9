"""What a run deletes is kept in the journal first, and put back when the run is taken back."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from functools import cached_property
from typing import Any

from promptable.cvat.annotate.options import REPLACING
from promptable.cvat.detection import TAG
from promptable.cvat.geometry.position import FORMS, Placed, position_of
from promptable.cvat.journal import Deleted, Journal
from promptable.cvat.labels.entries import listed
from promptable.cvat.server.annotations import KINDS, Annotations, JobAnnotations

_LABEL_GONE = "whose label the task no longer has"
_REPLACED = "on frames where run {0} has replaced since: --undo {0} first, then this again"
_PLACE_TAKEN = "where another one of the label has come since"


def delete(client: Any, journal: Journal, run: int, job: int, held: Annotations, going: Annotations) -> None:
    """Delete the shapes and tags ``going``, of those that a job holds, for a run whose undo is to put them back.

    ``client`` is cvat-sdk's. Stopped at any point, it can be called again with what the job holds then, and what is to
    go of that. Raises CvatError.
    """
    journal.keep(run, job, held, going)
    if any(going.values()):
        JobAnnotations(client, job).delete(**going)
    journal.deleted(run, job)


class PutBack:
    """Puts back what a run has deleted: ``count`` so far, and how much is ``lost`` by why, a part of a sentence."""

    def __init__(self, client: Any, journal: Journal, run: int, task: int) -> None:
        """``client`` is cvat-sdk's."""
        self.count = 0
        self.lost = Counter[str]()
        self._client = client
        self._journal = journal
        self._run = run
        self._task = task

    def into(self, job: int) -> None:
        """Put back what a job lacks, under its ids; what is there again, whoever made it, stays as it is.

        Stopped at any point, it can be called again. Raises CvatError.
        """
        if not (kept := self._journal.kept(self._run, job)):
            return
        annotations = JobAnnotations(self._client, job)
        held, there, back = _Held(annotations.read()), list[Deleted](), list[Deleted]()
        for one in kept:
            if held.has(one):
                there.append(one)
            elif (why := self._why_lost(one, job, held)) is not None:
                self.lost[why] += 1
            else:
                back.append(one)
        annotations.put_back(*([self._item(one) for one in back if one.kind == kind] for kind in KINDS))
        self._journal.put_back(self._run, job, [*there, *back])
        self.count += len(back)

    @cached_property
    def _specs(self) -> Mapping[int, Set[int]]:
        """The attributes of each label that the task has."""
        labels = listed(self._client, self._task)
        return {label["id"]: {spec["id"] for spec in label["attributes"]} for label in labels}

    @cached_property
    def _replaced(self) -> Mapping[tuple[int, int], int]:
        """By job and frame, the last of the later runs that replace what is there, if they were not taken back."""
        replaced: dict[tuple[int, int], int] = {}
        for later in self._journal.runs():
            if later.id > self._run and later.state != "undone" and later.options.get("mode") in REPLACING:
                failed = self._journal.errors(later.id)
                sent = self._journal.places(later.id, "sent")
                replaced |= {(job, frame): later.id for job, frame in sent if frame not in failed}
        return replaced

    def _why_lost(self, one: Deleted, job: int, held: "_Held") -> str | None:
        if one.item["label_id"] not in self._specs:
            return _LABEL_GONE
        if (later := self._replaced.get((job, one.item["frame"]))) is not None:
            return _REPLACED.format(later)
        return _PLACE_TAKEN if held.has_instead(one) else None

    def _item(self, one: Deleted) -> Mapping[str, Any]:
        """As CVAT takes it: without attributes that the label no longer has."""
        known = self._specs[one.item["label_id"]]
        return {**one.item, "attributes": [value for value in one.item["attributes"] if value["spec_id"] in known]}


class _Held:
    """What a job holds now, beside what a run has deleted from it."""

    def __init__(self, annotations: Annotations) -> None:
        self._on: dict[tuple[str, int], dict[int, Mapping[str, Any]]] = defaultdict(dict)
        for kind in KINDS:
            for one in annotations[f"{kind}s"]:
                self._on[kind, one["frame"]][one["id"]] = one

    def has(self, one: Deleted) -> bool:
        return one.item["id"] in self._of_frame(one)

    def has_instead(self, one: Deleted) -> bool:
        """Whether something of its label has come to its place since."""
        since = (other for number, other in self._of_frame(one).items() if number > one.highest)
        return any(_is_double(one, other) for other in since)

    def _of_frame(self, one: Deleted) -> Mapping[int, Mapping[str, Any]]:
        return self._on[one.kind, one.item["frame"]]


def _is_double(one: Deleted, other: Mapping[str, Any]) -> bool:
    """Whether another shape, or tag, of the same kind and frame may be of the same object."""
    label = one.item["label_id"]
    if one.kind == TAG:
        return bool(other["label_id"] == label)
    if not {one.item["type"], other["type"]} <= set(FORMS):
        return False
    return Placed(other["label_id"], position_of(other)).is_double(label, position_of(one.item))
