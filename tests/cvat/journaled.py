"""What a run of ``annotate`` leaves behind, in the journal and on the stand-in server, without running it."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.detection import Detection
from promptable.cvat.journal import Journal, Upload, journal_path
from toy.cvat.stand_in import StandIn

TASK = 3
JOBS = [(1, "annotation", 0, 49), (2, "annotation", 50, 99)]
RUST, CRACK, NIGHT = range(3)
NAMES = ["rust", "crack", "night"]
THRESHOLDS = {"rust": 0.35, "crack": 0.35, "night": 0.3}
BOX = [10, 10, 30, 30]


def seen(score: float, label: str = "rust", box: Sequence[float] = BOX, **fields: Any) -> Detection:
    """A box that is uploaded from the label's threshold on."""
    return Detection(label, "rectangle", score, box, chosen=score >= THRESHOLDS[label], **fields)


def tagged(score: float) -> Detection:
    """A night of this score."""
    return Detection("night", "tag", score, chosen=score >= THRESHOLDS["night"])


def run(
    cvat: StandIn,
    found: Mapping[int, Sequence[Detection]],
    tags: Sequence[str] = ("night",),
    task: int = TASK,
    jobs: Sequence[tuple[int, str, int, int]] = JOBS,
    function: str = "f",
    thresholds: Mapping[str, float] = THRESHOLDS,
) -> None:
    """A run that found this, by frame; ``tags`` are the labels that it was asked for as tags."""
    threshold = {**THRESHOLDS, **thresholds}
    labels = [
        {"name": name, "threshold": threshold[name], "type": "tag" if name in tags else "rectangle"} for name in NAMES
    ]
    journal = Journal(journal_path(cvat.url, task, "2026-01-02 03:04:05+00:00"))
    of_job = {job: [frame for frame in found if first <= frame <= last] for job, _, first, last in jobs}
    places = [(job, frame) for job, frames in of_job.items() for frame in frames]
    number = journal.begin("annotate", {}, {"labels": labels, "function": function}, places).id
    for frame, detections in found.items():
        journal.found(number, frame, detections)
    for job, frames in of_job.items():
        uploads = [
            _upload(frame, one.id, one.detection)
            for frame in frames
            for one in journal.detections(number, frame)
            if one.detection.chosen
        ]
        batch = journal.intend(number, job, frames, {"shape": 0, "tag": 0}, uploads)
        ids = [_stored(cvat, job, one) for one in uploads]
        journal.stored(batch, {upload.id: server for upload, server in zip(batch.uploads, ids, strict=True)})
    journal.end(number, "finished")
    journal.close()


def _stored(cvat: StandIn, job: int, one: Upload) -> int:
    return int(cvat.annotations.patch(job, "create", {f"{one.kind}s": [dict(one.payload)]})[f"{one.kind}s"][0]["id"])


def _upload(frame: int, number: int, one: Detection) -> Upload:
    common = {"frame": frame, "label_id": NAMES.index(one.label), "group": 0, "source": "auto", "attributes": []}
    if one.type == "tag":
        return Upload("tag", frame, common, number)
    shape = {"type": one.type, "points": list(one.points), "score": one.score, "rotation": 0}
    return Upload("shape", frame, common | shape, number)
