"""What a run replaces on the frames that it uploads, in the modes that replace."""

from collections.abc import Iterable
from typing import Any

from promptable.cvat.annotate.options import REPLACING, Mode
from promptable.cvat.annotate.writing.deletions import delete
from promptable.cvat.annotate.writing.unchanged import unchanged
from promptable.cvat.journal import Batch, Journal, Run, SentUpload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.annotations import KINDS, Annotations


class Replacing:
    """Decides what a run replaces, and deletes it."""

    def __init__(self, client: Any, journal: Journal, run: Run, labels: TaskLabels, mode: Mode) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._journal = journal
        self._run = run
        self._labels = labels
        self._mode = mode

    def delete_for(self, batch: Batch, there: Annotations) -> None:
        """Delete what a batch replaces; ``there`` are the annotations of its job. Raises CvatError."""
        if self._mode in REPLACING:
            replaced = self._replaced(batch.job, self._journal.frames_of(batch), there)
            delete(self._client, self._journal, batch.run, batch.job, there, replaced)

    def staying(self, job: int, frames: Iterable[int], there: Annotations) -> Annotations:
        """The annotations ``there`` of a job without those of these frames that the run replaces."""
        replaced = self._replaced(job, frames, there)
        ids = {kind: {one["id"] for one in items} for kind, items in replaced.items()}
        return {kind: [one for one in there[kind] if one["id"] not in ids[kind]] for kind in replaced}

    def _replaced(self, job: int, frames: Iterable[int], there: Annotations) -> Annotations:
        """The annotations of these frames that the run replaces; none in the modes that do not replace.

        They are what earlier runs wrote and nobody has changed, or, with ``REPLACE_ALL``, everything. Frames on which
        the function failed keep theirs.
        """
        answered = set(frames) - set(self._journal.errors(self._run.id))
        if self._mode is Mode.REPLACE_ALL:
            return {f"{kind}s": [one for one in there[f"{kind}s"] if one["frame"] in answered] for kind in KINDS}
        untouched = []
        if self._mode is Mode.REPLACE:
            untouched = unchanged(self._written_before(job, answered), there, self._labels)
        ids = {kind: {one.server_id for one in untouched if one.kind == kind} for kind in KINDS}
        return {f"{kind}s": [one for one in there[f"{kind}s"] if one["id"] in ids[kind]] for kind in KINDS}

    def _written_before(self, job: int, frames: Iterable[int]) -> list[SentUpload]:
        """The uploads of other runs on these frames."""
        written = (one for frame in frames for one in self._journal.uploads(job=job, frame=frame))
        return [one for one in written if one.run != self._run.id]
