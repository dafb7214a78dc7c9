"""What is uploaded for a frame: its detections as shapes and tags, and tags that mark the frame."""

from promptable.config.labels import Mark
from promptable.cvat.detection import TAG
from promptable.cvat.journal import Journal, Run, Upload
from promptable.cvat.labels.task_labels import TaskLabels


class FrameUploads:
    """Makes uploads of what a run has found, with the labels of the task."""

    def __init__(self, journal: Journal, run: Run, labels: TaskLabels, review_below: float) -> None:
        """Detections with a score below ``review_below`` are to be reviewed."""
        self._journal = journal
        self._run = run
        self._labels = labels
        self._review_below = review_below

    def of_answer(self, frame: int) -> list[Upload]:
        """The detections of a frame, and the tag that marks the frame if one of them is to be reviewed."""
        uploads, doubtful = [], False
        for one in self._journal.detections(self._run.id, frame):
            label = self._labels.get(one.detection.label)
            if label is not None and one.detection.chosen:
                kind = "tag" if one.detection.type == TAG else "shape"
                payload = label.payload(one.detection, frame, self._review_below)
                uploads.append(Upload(kind, frame, payload, one.id))
                doubtful |= one.detection.is_doubtful(self._review_below)
        return uploads + (self._marks(frame, Mark.REVIEW) if doubtful else [])

    def of_failure(self, frame: int) -> list[Upload]:
        """The tag that marks a frame on which the function failed."""
        return self._marks(frame, Mark.FAILURE)

    def _marks(self, frame: int, mark: Mark) -> list[Upload]:
        """The tag that marks a frame; none if the task has no label for it."""
        label = self._labels.marking(mark)
        return [] if label is None else [Upload("tag", frame, label.mark(frame), None)]
