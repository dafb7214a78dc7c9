"""Uploading what a run has found, in batches: each is written to the journal, sent, and completed with its ids.

If a batch got no answer, it is looked for on the server before it is sent again. CVAT stores a request in one
transaction, so one shape of the batch proves that all of it arrived. If the server was slower than that, the batch is
stored twice: the second copies are deleted when the run ends, or by the next run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptable.cvat.annotate.options import Mode, Options
from promptable.cvat.annotate.plan import annotated, why_left_alone
from promptable.cvat.annotate.writing.frame_uploads import FrameUploads
from promptable.cvat.annotate.writing.late import remove_late
from promptable.cvat.annotate.writing.lookup import look_for
from promptable.cvat.annotate.writing.replacing import Replacing
from promptable.cvat.annotate.writing.twins import remove_twins, without_twins
from promptable.cvat.detection import MASK
from promptable.cvat.geometry.position import position_of
from promptable.cvat.journal import Batch, Journal, Run, Upload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.seams import Seams
from promptable.cvat.server.annotations import KINDS, Annotations, JobAnnotations, highest_ids
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames
from promptable.cvat.server.late_requests import Tell

_TRIES = 3
_MOST_NUMBERS = 1_000_000
"""Coordinates in one request: some 5 MB."""
_MOST_FRAMES = 200
"""Frames in one request."""


class Uploader:
    """Uploads what a run has found."""

    def __init__(
        self, client: Any, journal: Journal, run: Run, labels: TaskLabels, options: Options, frames: Frames, tell: Tell
    ) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._journal = journal
        self._run = run
        self._labels = labels
        self._options = options
        self._tell = tell
        self._seams = Seams(client, frames)
        self._frame_uploads = FrameUploads(journal, run, labels, options.review_below)
        self._replacing = Replacing(client, journal, run, labels, options.mode)

    def settle(self) -> None:
        """Find out whether batches arrived that were on their way when the run was stopped. Raises CvatError."""
        for batch in self._journal.sending(self._run.id):
            self._look_or_send(batch)
        self.remove_late()

    def remove_late(self) -> None:
        """Delete what a slow server has stored twice by now. Raises CvatError."""
        remove_late(self._client, self._journal, self._labels)

    def remove_twins(self) -> None:
        """Delete what a run on another machine had stored before, at the same time. Raises CvatError."""
        remove_twins(self._client, self._journal, self._run.id, self._labels, self._options)

    def flush(self, state: str, frames: Sequence[int] | None = None) -> None:
        """Upload the frames in this state (asked or failed) that wait for their upload. Raises CvatError.

        ``frames`` limits it to these frames.
        """
        for job, ready in self._journal.ready(self._run.id, state, frames).items():
            for portion, uploads in self._portions(ready, failed=state == "failed"):
                self._upload(job, portion, uploads)

    def _portions(self, frames: Sequence[int], *, failed: bool) -> Iterator[tuple[list[int], list[Upload]]]:
        """The frames with their uploads, in portions that fit into one request each."""
        portion: list[int] = []
        uploads: list[Upload] = []
        numbers = 0
        for frame in frames:
            of_frame = self._frame_uploads.of_failure(frame) if failed else self._frame_uploads.of_answer(frame)
            portion.append(frame)
            uploads += of_frame
            numbers += sum(len(one.payload.get("points", ())) for one in of_frame)
            if numbers > _MOST_NUMBERS or len(portion) >= _MOST_FRAMES:
                yield portion, uploads
                portion, uploads, numbers = [], [], 0
        if portion:
            yield portion, uploads

    def _upload(self, job: int, frames: Sequence[int], uploads: Sequence[Upload]) -> None:
        """Upload a portion of frames to a job, without what it has already. Raises CvatError."""
        self.remove_late()  # else second copies of ours would pass for another run's, or for people's
        there = JobAnnotations(self._client, job).read()
        left = self._left(job, frames, there)
        self._journal.leave(self._run.id, job, left)
        taken = [frame for frame in frames if frame not in left]
        staying = self._replacing.staying(job, taken, there)
        marked = {(tag["frame"], tag["label_id"]) for tag in staying["tags"]}
        wanted = [
            one
            for one in uploads
            if one.frame not in left and not _is_there(one, marked) and not self._is_elsewhere(job, one)
        ]
        wanted = without_twins(self._journal, job, wanted, staying)
        batch = self._journal.intend(self._run.id, job, taken, highest_ids(there), wanted)
        if not self._send(batch, there):
            self._look_or_send(batch)

    def _is_elsewhere(self, job: int, upload: Upload) -> bool:
        """Whether it is a mask on a frame of two jobs that the other job gets, or has."""
        if upload.payload.get("type") != MASK:
            return False
        written, mask = self._journal.jobs_of_frame(self._run.id, upload.frame), position_of(upload.payload)
        return self._seams.is_elsewhere(job, upload.frame, upload.payload["label_id"], mask, written)

    def _left(self, job: int, frames: Sequence[int], there: Mapping[str, Any]) -> set[int]:
        """The frames that the run must leave alone now: the job was handed in, or people have annotated them."""
        known = self._client.jobs.retrieve(job)
        if why_left_alone(known, self._options) is not None:
            return set(frames)
        if self._options.mode is not Mode.SKIP_ANNOTATED:
            return set()
        return annotated(there, self._labels, known.stop_frame) & set(frames)

    def _send(self, batch: Batch, there: Mapping[str, Any]) -> bool:
        """Send a batch that is not on the server. Returns False if it is unknown whether it arrived. Raises CvatError.

        ``there`` are the annotations of its job.
        """
        self._replacing.delete_for(batch, there)
        of_kind = {kind: [one for one in batch.uploads if one.kind == kind] for kind in KINDS}
        answer: Mapping[str, Any] = {"shapes": [], "tags": []}
        if batch.uploads:
            try:
                annotations = JobAnnotations(self._client, batch.job)
                answer = annotations.create(*([one.payload for one in of_kind[kind]] for kind in KINDS))
            except CvatError as error:
                if error.stored_nothing:
                    self._journal.refused(batch)  # resumed, the run makes a new batch, for the labels at that time
                    raise
                return False
        pairs = [pair for kind in KINDS for pair in zip(of_kind[kind], answer[f"{kind}s"], strict=True)]
        self._journal.stored(batch, {upload.id: one["id"] for upload, one in pairs})
        return True

    def _look_or_send(self, batch: Batch) -> None:
        """Complete a batch that arrived with its ids; send it again if it did not. Raises CvatError."""
        for _ in range(_TRIES):
            if (ids := look_for(self._client, self._journal, batch, self._tell)) is not None:
                return self._journal.stored(batch, ids)
            self._journal.batch_may_arrive_late(batch)
            there = JobAnnotations(self._client, batch.job).read()
            if self._send(self._without_left(batch, there), there):
                return None
        raise CvatError(f"CVAT did not answer writes into job {batch.job}, and did not store them: is it overloaded?")

    def _without_left(self, batch: Batch, there: Annotations) -> Batch:
        """A batch without the frames that the run must leave alone by now."""
        left = self._left(batch.job, self._journal.frames_of(batch), there)
        self._journal.leave(batch.run, batch.job, left)
        return replace(batch, uploads=[one for one in batch.uploads if one.frame not in left])


def _is_there(upload: Upload, marked: set[tuple[int, int]]) -> bool:
    """Whether it is a tag that marks a frame, and the frame, of ``marked`` (frame, label id), has it already."""
    return upload.detection is None and (upload.frame, upload.payload["label_id"]) in marked
