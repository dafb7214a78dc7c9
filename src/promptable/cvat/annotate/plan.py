"""Which frames of which jobs a run is about, and what it leaves alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvat_sdk.core.helpers import make_request_headers

from promptable.cvat.annotate.options import Mode, Options, parse_frames
from promptable.cvat.annotate.task_labels import TaskLabels
from promptable.cvat.server.annotations import JobAnnotations, annotated_frames
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames, text_of

OPEN = ("new", "in progress")
"""States of jobs that people have not handed in."""


@dataclass(frozen=True)
class Plan:
    """``places`` are (job, frame); ``left_out`` says in sentences what is left alone."""

    places: Sequence[tuple[int, int]]
    left_out: Sequence[str]

    @property
    def frames(self) -> int:
        """How many frames are asked about: one that two jobs share counts once."""
        return len({frame for _, frame in self.places})


def make_plan(client: Any, frames: Frames, labels: TaskLabels, options: Options) -> Plan:
    """Look at jobs and annotations, and write nothing. ``client`` is cvat-sdk's. Raises CvatError."""
    left_out: list[str] = []
    wanted = _wanted(client, frames, options, left_out)
    places = []
    for job in frames.jobs:
        if (why := not_open(job, options)) is not None:
            left_out.append(why)
            continue
        own = [number for number in wanted if job.start_frame <= number <= job.stop_frame]
        taken = _taken(client, job, labels, options) & set(own)
        if taken:
            left_out.append(f"job {job.id}: {len(taken)} frames that have annotations ({ranges(sorted(taken))})")
        places += [(job.id, number) for number in own if number not in taken]
    return Plan(_limited(places, options.limit), left_out)


def not_open(job: Any, options: Options) -> str | None:
    """Why a job is left alone, None where it is not."""
    state, kind = text_of(job.state), text_of(job.type)
    if kind != "annotation" and options.job is None:
        return f"job {job.id} is a {kind.replace('_', ' ')} job"
    if state in OPEN or options.completed_jobs:
        return None
    return f"job {job.id} is {state}: --completed-jobs takes it too"


def annotated(annotations: Mapping[str, Any], labels: TaskLabels, stop_frame: int) -> set[int]:
    """The frames that have annotations other than tags which mark frames."""
    marks = {label.id for name in labels.marks if (label := labels.get(name)) is not None}
    tags = [tag for tag in annotations["tags"] if tag["label_id"] not in marks]
    return annotated_frames({**annotations, "tags": tags}, stop_frame)


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers as people write them: 0-3, 7, 9-12; the first few."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:8]]
    return ", ".join(shown) + (" ..." if len(runs) > len(shown) else "")


def _wanted(client: Any, frames: Frames, options: Options, left_out: list[str]) -> list[int]:
    numbers: Sequence[int] = frames.numbers
    if options.frames is not None:
        asked = parse_frames(options.frames)
        numbers = [number for number in numbers if any(number in one for one in asked)]
        if not numbers:
            raise CvatError(f"--frames {options.frames}: there are frames {ranges(frames.numbers)}")
    honeypots = set() if options.honeypots else _honeypots(client, frames.task.id) & set(numbers)
    if honeypots:
        shown = ranges(sorted(honeypots))
        left_out.append(f"{len(honeypots)} frames that test annotators ({shown}): --honeypots takes them too")
    if frames.deleted:
        left_out.append(f"{len(frames.deleted)} deleted frames ({ranges(frames.deleted)})")
    if frames.ground_truth_jobs:
        left_out.append(f"the ground truth, job {', '.join(map(str, frames.ground_truth_jobs))}")
    return [number for number in numbers if number not in honeypots]


def _honeypots(client: Any, task: int) -> set[int]:
    """Frames of annotation jobs that show a picture whose ground truth is known."""
    api = client.api_client
    url = client.api_map.make_endpoint_url(f"/api/tasks/{task}/validation_layout")
    try:
        response = api.rest_client.GET(url, headers=make_request_headers(api))
    except CvatError as error:
        if error.status == 404:
            return set()
        raise
    return set(json.loads(response.data).get("honeypot_frames") or ())


def _taken(client: Any, job: Any, labels: TaskLabels, options: Options) -> set[int]:
    if options.mode is not Mode.SKIP_ANNOTATED:
        return set()
    return annotated(JobAnnotations(client, job.id).read(), labels, job.stop_frame)


def _limited(places: Sequence[tuple[int, int]], limit: int | None) -> Sequence[tuple[int, int]]:
    """The places of the first so many frames."""
    if limit is None:
        return places
    kept = set(sorted({frame for _, frame in places})[:limit])
    return list(_of_frames(places, kept))


def _of_frames(places: Sequence[tuple[int, int]], frames: set[int]) -> Iterator[tuple[int, int]]:
    return (place for place in places if place[1] in frames)
