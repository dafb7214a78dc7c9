"""Deleting annotations from a job: a run keeps them in the journal first, and taking the run back puts them back."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from typing import Any

from promptable.cvat.annotate.options import REPLACING
from promptable.cvat.detection import TAG
from promptable.cvat.geometry.position import FORMS, Placed, position_of
from promptable.cvat.journal import Deleted, Journal, SentUpload
from promptable.cvat.labels.entries import listed
from promptable.cvat.server.annotations import KINDS, Annotations, JobAnnotations

_LABEL_GONE = "whose label the task no longer has"
_REPLACED = "on frames whose annotations run {0} has replaced since: --undo {0} first, then this again"
_PLACE_TAKEN = "in whose place another one of the same label was added since"


def delete(client: Any, journal: Journal, run: int, job: int, there: Annotations, doomed: Annotations) -> None:
    """Delete the shapes and tags ``doomed`` from a job, in such a way that taking the run back puts them back.

    ``there`` are all annotations of the job; ``client`` is cvat-sdk's. After an interruption, call it again with the
    job's annotations at that time. Raises CvatError.
    """
    journal.keep(run, job, there, doomed)
    if any(doomed.values()):
        JobAnnotations(client, job).delete(**doomed)
    journal.deleted(run, job)


def remove(annotations: JobAnnotations, uploads: Iterable[SentUpload], journal: Journal) -> None:
    """Delete what runs wrote from its job, for good, and note it in the journal. Raises CvatError."""
    doomed = list(uploads)
    if doomed:
        of_kind = {kind: [{**one.payload, "id": one.server_id} for one in doomed if one.kind == kind] for kind in KINDS}
        annotations.delete(of_kind["shape"], of_kind["tag"])
        journal.removed(doomed)


class PutBack:
    """Puts back what a run has deleted.

    ``count`` says how many annotations so far, ``lost`` how many could not be, by reason: a part of a sentence.
    """

    def __init__(self, client: Any, journal: Journal, run: int, task: int) -> None:
        """``client`` is cvat-sdk's."""
        self.count = 0
        self.lost = Counter[str]()
        self._client = client
        self._journal = journal
        self._run = run
        self._task = task

    def into(self, job: int) -> None:
        """Put back into a job what the run deleted from it, under the former ids.

        An annotation that is in the job again already, whoever put it back, stays as it is. After an interruption, call
        it again. Raises CvatError.
        """
        if not (kept := self._journal.kept(self._run, job)):
            return
        annotations = JobAnnotations(self._client, job)
        contents, there, back = _JobContents(annotations.read()), list[Deleted](), list[Deleted]()
        for one in kept:
            if contents.has(one):
                there.append(one)
            elif (why := self._why_lost(one, job, contents)) is not None:
                self.lost[why] += 1
            else:
                back.append(one)
        annotations.put_back(*([self._item(one) for one in back if one.kind == kind] for kind in KINDS))
        self._journal.put_back(self._run, job, [*there, *back])
        self.count += len(back)

    @cached_property
    def _specs(self) -> Mapping[int, Set[int]]:
        """The ids of each label's attributes, by label id, for the labels that the task has now."""
        labels = listed(self._client, self._task)
        return {label["id"]: {spec["id"] for spec in label["attributes"]} for label in labels}

    @cached_property
    def _replaced(self) -> Mapping[tuple[int, int], int]:
        """The last later run that replaced the annotations of a job's frame, by job and frame; not if taken back."""
        replaced: dict[tuple[int, int], int] = {}
        for later in self._journal.runs():
            if later.id > self._run and later.state != "undone" and later.options.get("mode") in REPLACING:
                failed = self._journal.errors(later.id)
                sent = self._journal.places(later.id, "sent")
                replaced |= {(job, frame): later.id for job, frame in sent if frame not in failed}
        return replaced

    def _why_lost(self, one: Deleted, job: int, contents: "_JobContents") -> str | None:
        """Why an annotation cannot be put back, as a part of a sentence; None if it can."""
        if one.item["label_id"] not in self._specs:
            return _LABEL_GONE
        if (later := self._replaced.get((job, one.item["frame"]))) is not None:
            return _REPLACED.format(later)
        return _PLACE_TAKEN if contents.has_successor(one) else None

    def _item(self, one: Deleted) -> Mapping[str, Any]:
        """A deleted annotation without the attributes that its label no longer has: CVAT would refuse them."""
        known = self._specs[one.item["label_id"]]
        return {**one.item, "attributes": [value for value in one.item["attributes"] if value["spec_id"] in known]}


class _JobContents:
    """The shapes and tags of a job now, compared with those that a run has deleted from it."""

    def __init__(self, annotations: Annotations) -> None:
        self._on: dict[tuple[str, int], dict[int, Mapping[str, Any]]] = defaultdict(dict)
        for kind in KINDS:
            for one in annotations[f"{kind}s"]:
                self._on[kind, one["frame"]][one["id"]] = one

    def has(self, one: Deleted) -> bool:
        """Whether it is in the job again, under its former id."""
        return one.item["id"] in self._of_frame(one)

    def has_successor(self, one: Deleted) -> bool:
        """Whether something of its label was added at its place since it was deleted."""
        since = (other for number, other in self._of_frame(one).items() if number > one.highest)
        return any(_is_double(one, other) for other in since)

    def _of_frame(self, one: Deleted) -> Mapping[int, Mapping[str, Any]]:
        return self._on[one.kind, one.item["frame"]]


def _is_double(one: Deleted, other: Mapping[str, Any]) -> bool:
    """Whether another annotation of the same kind and frame may be of the same object: same label, similar box."""
    label = one.item["label_id"]
    if one.kind == TAG:
        return bool(other["label_id"] == label)
    if not {one.item["type"], other["type"]} <= set(FORMS):
        return False
    return Placed(other["label_id"], position_of(other)).is_double(label, position_of(one.item))
