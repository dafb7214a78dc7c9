"""From the journal to the server, a batch at a time: read, decide, note, send, note the ids.

A batch of which nobody knows whether it arrived is looked for on the server before it is sent again: CVAT stores a
request in one transaction, so that one shape of it found means that all of it was there.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptable.config.labels import Mark
from promptable.cvat.annotate.options import Mode, Options
from promptable.cvat.annotate.plan import annotated, not_open
from promptable.cvat.annotate.task_labels import TaskLabels
from promptable.cvat.detection import TAG
from promptable.cvat.journal import Batch, Journal, Run, SentUpload, Upload
from promptable.cvat.server.annotations import KINDS, JobAnnotations, highest_ids
from promptable.cvat.server.errors import CvatError

SETTLING = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between looks for a batch that may still be on its way through the server, a minute in all."""
_TRIES = 3
_MOST_NUMBERS = 1_000_000
"""Coordinates in one request, which is some 5 MB."""
_MOST_FRAMES = 200


class Uploader:
    """Uploads what a run has found."""

    def __init__(self, client: Any, journal: Journal, run: Run, labels: TaskLabels, options: Options) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._journal = journal
        self._run = run
        self._labels = labels
        self._options = options

    def settle(self) -> None:
        """Find out about batches that were on their way when a run ended. Raises CvatError."""
        for batch in self._journal.sending(self._run.id):
            self._look_or_send(batch)

    def flush(self, state: str = "asked") -> None:
        """Upload all frames in this state that wait for it. Raises CvatError."""
        for job, frames in self._journal.ready(self._run.id, state).items():
            for part, uploads in self._parts(frames, failed=state == "failed"):
                self._upload(job, part, uploads)

    def _parts(self, frames: Sequence[int], *, failed: bool) -> Iterator[tuple[list[int], list[Upload]]]:
        """Frames with their uploads, as many as fit into a request."""
        part: list[int] = []
        uploads: list[Upload] = []
        for frame in frames:
            part.append(frame)
            uploads += self._marks(frame, Mark.FAILURE) if failed else self._uploads(frame)
            numbers = sum(len(one.payload.get("points", ())) for one in uploads)
            if numbers > _MOST_NUMBERS or len(part) >= _MOST_FRAMES:
                yield part, uploads
                part, uploads = [], []
        if part:
            yield part, uploads

    def _uploads(self, frame: int) -> list[Upload]:
        """What was found on a frame, and the tag of a frame on which something is to be reviewed."""
        below, uploads = self._options.review_below, []
        chosen = [one for one in self._journal.detections(self._run.id, frame) if one.detection.chosen]
        for one in chosen:
            label = self._labels.get(one.detection.label)
            if label is not None:
                kind = "tag" if one.detection.type == TAG else "shape"
                uploads.append(Upload(kind, frame, label.payload(one.detection, frame, below), one.id))
        doubtful = any(one.detection.score < below for one in chosen)
        return uploads + (self._marks(frame, Mark.REVIEW) if doubtful else [])

    def _marks(self, frame: int, mark: Mark) -> list[Upload]:
        label = self._labels.marking(mark)
        return [] if label is None else [Upload("tag", frame, label.mark(frame), None)]

    def _upload(self, job: int, frames: Sequence[int], uploads: Sequence[Upload]) -> None:
        there = JobAnnotations(self._client, job).read()
        left = self._left(job, frames, there)
        self._journal.leave(self._run.id, job, left)
        taken = [frame for frame in frames if frame not in left]
        marked = {(tag["frame"], tag["label_id"]) for tag in there["tags"]}
        wanted = [one for one in uploads if one.frame not in left and not self._is_there(one, marked)]
        batch = self._journal.intend(self._run.id, job, taken, highest_ids(there), wanted)
        if not self._send(batch, there):
            self._look_or_send(batch)

    def _left(self, job: int, frames: Sequence[int], there: Mapping[str, Any]) -> set[int]:
        """Frames that became people's since the run began."""
        known = self._client.jobs.retrieve(job)
        if not_open(known, self._options) is not None:
            return set(frames)
        if self._options.mode is not Mode.SKIP_ANNOTATED:
            return set()
        return annotated(there, self._labels, known.stop_frame) & set(frames)

    def _is_there(self, upload: Upload, marked: set[tuple[int, int]]) -> bool:
        """Whether it is a tag that marks a frame which is marked so."""
        return upload.detection is None and (upload.frame, upload.payload["label_id"]) in marked

    def _send(self, batch: Batch, there: Mapping[str, Any]) -> bool:
        """Send a batch that is not on the server; False where nobody knows whether it arrived. Raises CvatError.

        ``there`` is what its job holds.
        """
        annotations = JobAnnotations(self._client, batch.job)
        if self._options.mode in (Mode.REPLACE, Mode.REPLACE_ALL):
            self._remove_old(batch, annotations, there)
        if not batch.uploads:
            self._journal.stored(batch, {})
            return True
        of_kind = {kind: [one for one in batch.uploads if one.kind == kind] for kind in KINDS}
        try:
            answer = annotations.create(*([one.payload for one in of_kind[kind]] for kind in KINDS))
        except CvatError as error:
            if error.status is not None and error.status < 500:  # it says that nothing was stored
                raise
            return False
        pairs = [pair for kind in KINDS for pair in zip(of_kind[kind], answer[f"{kind}s"], strict=True)]
        self._journal.stored(batch, {upload.id: one["id"] for upload, one in pairs})
        return True

    def _look_or_send(self, batch: Batch) -> None:
        """Note the ids of a batch that arrived, send one that did not. Raises CvatError."""
        for _ in range(_TRIES):
            ids = look_for(self._client, self._journal, batch)
            if ids is not None:
                self._journal.stored(batch, ids)
                return
            if self._send(batch, JobAnnotations(self._client, batch.job).read()):
                return
        raise CvatError(f"CVAT takes no annotations for job {batch.job} now: run the same command again later")

    def _remove_old(self, batch: Batch, annotations: JobAnnotations, there: Mapping[str, Any]) -> None:
        """Remove from a batch's frames what an automatic run wrote and nobody changed, or all shapes and tags.

        A frame that failed has nothing new: it keeps what it has.
        """
        frames = set(self._journal.frames_of(batch)) - set(self._journal.errors(batch.run))
        of_job = self._journal.uploads(job=batch.job)
        written = [one for one in of_job if one.run != batch.run and one.frame in frames]
        if self._options.mode is Mode.REPLACE_ALL:
            annotations.delete(*([one for one in there[f"{kind}s"] if one["frame"] in frames] for kind in KINDS))
            self._journal.removed(written)
        else:
            remove_unchanged(annotations, there, written, self._journal, self._labels)


def look_for(client: Any, journal: Journal, batch: Batch) -> dict[int, int] | None:
    """The server's ids of a batch's uploads by their own, None where the batch did not arrive. Raises CvatError.

    Looks for a while, since a server may still be at a request whose sender is gone.
    """
    if not batch.uploads:
        return None
    for pause in (0.0, *SETTLING):
        time.sleep(pause)
        ids = _matched(batch, JobAnnotations(client, batch.job).read(), journal)
        if ids:
            return ids
    return None


def _matched(batch: Batch, there: Mapping[str, Any], journal: Journal) -> dict[int, int]:
    """Uploads and what equals them, one to one, among what was stored since the batch was noted and is nobody else's.

    Shapes decide: people may set the same tag.
    """
    ids: dict[int, int] = {}
    for kind in KINDS:
        known = journal.known_ids(batch.job, kind)
        equal: dict[object, list[int]] = defaultdict(list)
        for one in sorted(there[f"{kind}s"], key=lambda one: -one["id"]):
            if one["id"] > batch.after[kind] and one["id"] not in known:
                equal[_content(one)].append(one["id"])
        own = [one for one in batch.uploads if one.kind == kind]
        found = {one.id: equal[_content(one.payload)].pop() for one in own if equal[_content(one.payload)]}
        if own and not found and kind == "shape":
            return {}
        ids |= found
    return ids


def _content(one: Mapping[str, Any]) -> object:
    """What tells shapes of a job apart, and tags; attributes may have been edited since."""
    if "points" not in one:
        return one["frame"], one["label_id"]
    points = tuple(round(number, 2) for number in one["points"])
    return one["frame"], one["label_id"], one["type"], points, round(one["score"], 4)


def remove_unchanged(
    annotations: JobAnnotations,
    there: Mapping[str, Any],
    written: Iterable[SentUpload],
    journal: Journal,
    labels: TaskLabels,
) -> list[SentUpload]:
    """Remove what is still as it was written; returns that. Raises CvatError."""
    by_id = {kind: {one["id"]: one for one in there[f"{kind}s"]} for kind in KINDS}
    unchanged = [
        one
        for one in written
        if (now := by_id[one.kind].get(one.server_id)) is not None and _is_unchanged(one.payload, now, labels)
    ]
    if unchanged:
        annotations.delete(
            *([by_id[one.kind][one.server_id] for one in unchanged if one.kind == kind] for kind in KINDS)
        )
        journal.removed(unchanged)
    return unchanged


def _is_unchanged(written: Mapping[str, Any], now: Mapping[str, Any], labels: TaskLabels) -> bool:
    """Whether nobody moved, relabelled or edited it: every field as written, attributes that came later at default."""
    fields = [field for field in written if field not in ("attributes", "points")]
    if any(now.get(field) != written[field] for field in fields):
        return False
    if "points" in written and [round(n, 2) for n in now["points"]] != [round(n, 2) for n in written["points"]]:
        return False
    label = next((label for label in labels.by_name.values() if label.id == now["label_id"]), None)
    defaults = {spec["id"]: str(spec["default_value"]) for spec in (label.attributes if label else ())}
    own = {one["spec_id"]: str(one["value"]) for one in written["attributes"]}
    return all(own.get(one["spec_id"], defaults.get(one["spec_id"])) == str(one["value"]) for one in now["attributes"])
