"""What is uploaded for a frame: its detections, and the tag that it is to be reviewed."""

from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.annotate.writing.frame_uploads import FrameUploads
from promptable.cvat.detection import Detection
from promptable.cvat.journal import Journal
from promptable.cvat.labels.task_label import TaskLabel
from promptable.cvat.labels.task_labels import TaskLabels

LABELS = TaskLabels({"rust": TaskLabel(1, "rust", "any", ()), "needs-review": TaskLabel(2, "needs-review", "tag", ())})
BOX: dict[str, Any] = {"type": "rectangle", "points": (1, 1, 9, 9)}


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        (Detection("rust", score=0.9, **BOX), [1]),
        (Detection("rust", score=0.4, **BOX), [1, 2]),
        (Detection("rust", score=0.9, attributes={"review": "true"}, **BOX), [1, 2]),
        (Detection("a label that the task lacks", score=0.4, **BOX), []),
        (Detection("rust", score=0.4, chosen=False, **BOX), []),
    ],
    ids=["sure", "doubtful", "the function says so", "not stored", "not chosen"],
)
def test_the_frame_is_tagged_where_something_on_it_is_ticked(
    tmp_path: Path, found: Detection, labels: list[int]
) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    run = journal.begin("annotate", {}, {}, [(1, 0)])
    journal.found(run.id, 0, [found])
    uploads = FrameUploads(journal, run, LABELS, 0.45).of_answer(0)
    assert [one.payload["label_id"] for one in uploads] == labels
    journal.close()
