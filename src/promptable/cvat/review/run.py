"""The queue of one run of ``annotate``, at its end."""

from collections.abc import Iterator
from dataclasses import replace

from promptable.cvat.journal import JournalReader, Run
from promptable.cvat.review.detections import doubtful_frames
from promptable.cvat.review.queue import Queue, QueuedFrame, choose, least_sure
from promptable.cvat.server.frames import Frames

_MOST_FRAMES = 2000
"""More than anybody looks at in a day."""


def run_queue(journal: JournalReader, run: Run, frames: Frames, review_below: float) -> Queue:
    """All that is doubtful of what a run uploaded, or might have, in the first job that shows it."""
    task, jobs = frames.task.id, frames.first_jobs

    def candidates() -> Iterator[QueuedFrame]:
        for frame, doubts in doubtful_frames(journal, run, review_below):
            yield QueuedFrame(task, jobs[frame], frame, doubts)

    def uploaded(one: QueuedFrame) -> QueuedFrame | None:
        stored = {upload.detection for upload in journal.uploads(job=one.job, frame=one.frame, run=run.id)}
        doubts = [doubt for doubt in one.doubts if doubt.is_missing or doubt.detection in stored]
        return replace(one, doubts=doubts) if doubts else None

    kept, doubtful = least_sure(candidates(), _MOST_FRAMES)
    return replace(choose(kept, _MOST_FRAMES, still=uploaded), doubtful=doubtful)
