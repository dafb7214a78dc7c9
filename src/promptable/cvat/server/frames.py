"""The frames of a task or job: their numbers, their sizes as CVAT stores them, and their original bytes.

A frame's number is its number in the task, also for the frames of a job. Deleted frames, and jobs that contain the
ground truth, are left out unless the caller asks for them.
"""

import io
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from promptable.cvat.server.editor import job_link
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frame_meta import read_meta
from promptable.cvat.server.http.json_api import get_json

_ANNOTATION, _GROUND_TRUTH = "annotation", "ground_truth"
_REPLICA = ("consensus_replica", "replica")
"""The type of a job that shows another job's frames again: CVAT's name for it, and its name from CVAT 2.80 on."""
_NO_PICTURES = {"1d": "audio", "3d": "point clouds"}
"""What a task without pictures contains, by CVAT's name of its dimension."""
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError)
"""What ``zipfile`` raises for a damaged archive: RuntimeError if it is encrypted or packed in an unknown way, EOFError
if it ends too early, ValueError for places and names that cannot be."""
_WORTH_A_CHUNK = 3
"""If so many frames of a chunk are wanted, downloading the chunk is quicker than downloading them one by one."""


@dataclass(frozen=True)
class Frame:
    """One frame: its number in the task, its file's name, and its height and width as CVAT stores annotations for it.

    A decoded frame of a video with an odd size may be one pixel larger: clip answers to ``hw``.
    """

    number: int
    name: str
    hw: tuple[int, int]


class Frames:
    """The frames of a task, or of one of its jobs, that people annotate."""

    def __init__(
        self,
        client: Any,
        *,
        task: int | None = None,
        job: int | None = None,
        with_ground_truth: bool = False,
        with_deleted: bool = False,
    ) -> None:
        """``client`` is cvat-sdk's. Exactly one of ``task`` and ``job`` is given. Raises CvatError."""
        if (task is None) == (job is None):
            raise ValueError("expected a task or a job")
        self._client = client
        self._with_ground_truth = with_ground_truth
        self._with_deleted = with_deleted
        self._job = None if job is None else client.jobs.retrieve(job)
        if self._job is not None and _holds_ground_truth(self._job) and not with_ground_truth:
            raise CvatError(f"job {job} holds the ground truth, which is left alone: name another job")
        self.task = client.tasks.retrieve(task) if self._job is None else _task_of(client, self._job)
        _enter_organization(client, self.task)
        if (lacking := without_frames(self.task)) is not None:
            raise CvatError(lacking)
        self._meta = read_meta(client, self.task.id)

    @property
    def is_video(self) -> bool:
        """Whether the task is one video; otherwise it is a set of pictures."""
        return bool(self.task.mode == "interpolation" or len(self._meta.names) == 1 < self.task.size)

    def in_source(self, number: int) -> int:
        """The number of a frame in the source video; the task may start at a later frame of it and skip frames."""
        return self._meta.start + number * self._meta.step

    @property
    def chunk_size(self) -> int:
        """How many frames CVAT packs into one download."""
        return self._meta.chunk_size

    @cached_property
    def jobs(self) -> tuple[Any, ...]:
        """The jobs (``cvat_sdk.core.proxies.jobs.Job``) of these frames, sorted by first frame."""
        return tuple(job for job in self._all_jobs if self._with_ground_truth or not _holds_ground_truth(job))

    @cached_property
    def ground_truth_jobs(self) -> tuple[int, ...]:
        """The ids of the jobs that hold the ground truth and are left out."""
        return tuple(job.id for job in self._all_jobs if job not in self.jobs)

    @cached_property
    def _all_jobs(self) -> tuple[Any, ...]:
        if self._job is not None:
            return (self._job,)
        return _in_order(self.task.get_jobs())

    def shown_in(self, job: Any) -> Collection[int]:
        """The numbers of the frames that a job shows, deleted ones too."""
        if _holds_ground_truth(job):
            return frozenset(self._validation.get("validation_frames") or ())
        return range(job.start_frame, job.stop_frame + 1)

    def is_replica(self, job: Any) -> bool:
        """Whether a job shows another job's frames again, for another annotator. False for the job that was named."""
        return self._job is None and is_replica(job)

    @cached_property
    def first_jobs(self) -> Mapping[int, int]:
        """The id of the first job that shows each frame, by frame number; deleted frames included."""
        return {number: job.id for job in reversed(self.jobs) for number in self.shown_in(job)}

    @cached_property
    def seams(self) -> Mapping[int, Sequence[int]]:
        """The ids of the two annotation jobs that show a frame, in order, for each frame that two jobs share.

        If one job was named, its neighbours are read too.
        """
        jobs = self._all_jobs if self._job is None else _in_order(self.task.get_jobs())
        ordered = [job for job in jobs if text_of(job.type) == _ANNOTATION]
        return {
            number: (job.id, following.id)
            for job, following in pairwise(ordered)
            for number in range(following.start_frame, job.stop_frame + 1)
        }

    @cached_property
    def numbers(self) -> Sequence[int]:
        """The numbers of the frames, in order, without frames that only a ground truth job shows."""
        numbers = sorted(self._in_jobs() - set(self.deleted))
        whole = range(numbers[0], numbers[-1] + 1) if numbers else range(0)
        return whole if len(whole) == len(numbers) else tuple(numbers)

    @cached_property
    def deleted(self) -> Sequence[int]:
        """The numbers of the deleted frames that are left out."""
        return () if self._with_deleted else tuple(sorted(self._in_jobs() & self._meta.deleted))

    @cached_property
    def honeypots(self) -> frozenset[int]:
        """The frames in annotation jobs for whose picture CVAT has the ground truth."""
        return frozenset(self._validation.get("honeypot_frames") or ())

    @property
    def takes_tracks(self) -> bool:
        """Whether CVAT stores tracks in the task: it does not where honeypots are mixed into the jobs."""
        return self._validation.get("mode") != "gt_pool"

    @cached_property
    def _validation(self) -> Mapping[str, Any]:
        """CVAT's validation layout: how it tests annotators with the ground truth. Empty if the task has none."""
        try:
            layout: Mapping[str, Any] = get_json(self._client, f"/api/tasks/{self.task.id}/validation_layout")
        except CvatError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise
        return layout

    def _in_jobs(self) -> set[int]:
        return {number for job in self.jobs for number in self.shown_in(job)}

    def frame(self, number: int) -> Frame:
        """The name and size of a frame. Raises CvatError for a number that is not in ``numbers``."""
        place = bisect_left(self.numbers, number)
        if place == len(self.numbers) or self.numbers[place] != number:
            raise CvatError(f"there is no frame {number}: {self._known()}")
        i = 0 if len(self._meta.names) == 1 else number
        return Frame(number, self._meta.names[i], self._meta.sizes[i])

    def _known(self) -> str:
        """A description of the existing frame numbers, for an error message."""
        if not self.numbers:
            return "all frames are deleted"
        return f"expected one from {self.numbers[0]} to {self.numbers[-1]} that is not deleted"

    def link(self, number: int) -> str:
        """The address of a frame in CVAT's editor, in the first job that shows it."""
        return job_link(self._client.api_map.host, self.task.id, self.first_jobs[number], number)

    def data(self, number: int) -> bytes:
        """The bytes that CVAT sends to a function for a frame: the original file, or for a video a PNG of the frame."""
        _, response = self.task.api.retrieve_data(self.task.id, type="frame", number=number, quality="original")
        return bytes(response.data)

    def read(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Number and ``data`` of many frames, sorted by number; whole chunks are downloaded where that is quicker."""
        by_chunk: dict[int, list[int]] = {}
        for number in sorted(numbers):
            by_chunk.setdefault(number // self.chunk_size, []).append(number)
        for chunk, wanted in by_chunk.items():
            whole = {} if self.is_video or len(wanted) < _WORTH_A_CHUNK else self._chunk(chunk)
            for number in wanted:
                yield number, whole[number] if number in whole else self.data(number)

    def _chunk(self, chunk: int) -> Mapping[int, bytes]:
        """The original files of a chunk, by frame number; empty if they must be downloaded one by one.

        That is so if the archive is damaged, if it has not one file for each frame of the chunk, or if its files would
        be larger than the archive: CVAT does not compress them, so such an archive is not CVAT's.
        """
        _, response = self.task.api.retrieve_data(self.task.id, type="chunk", number=chunk, quality="original")
        first = chunk * self.chunk_size
        count = min(self.chunk_size, int(self.task.size) - first)
        try:
            with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
                names = sorted(name for name in archive.namelist() if not name.endswith("/"))
                if len(names) != count or sum(one.file_size for one in archive.infolist()) > len(response.data):
                    return {}
                return {first + i: archive.read(name) for i, name in enumerate(names)}
        except _BAD_ARCHIVE:
            return {}


def _in_order(jobs: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(jobs, key=lambda job: (job.start_frame, job.id)))


def _task_of(client: Any, job: Any) -> Any:
    """The task of a job. Raises CvatError, also for an account that may read only the job and not its task."""
    try:
        return client.tasks.retrieve(job.task_id)
    except CvatError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        whole = "Being assigned the job is not enough: the commands read its task, as its owner or assignee may"
        raise CvatError(f"{error}. {whole}", error.status) from None


def without_frames(task: Any) -> str | None:
    """Why cvat-sdk's ``task`` has no frames that we can use, in a sentence; None if it has some.

    A task whose data were never uploaded has no size and no dimension at all.
    """
    if not getattr(task, "size", 0):
        return f"task {task.id} has no data yet"
    dimension = text_of(task.dimension)
    if dimension != "2d":
        return f"task {task.id} holds {_NO_PICTURES.get(dimension, dimension)}: expected pictures or a video"
    return None


def is_replica(job: Any) -> bool:
    """Whether cvat-sdk's ``job`` shows another job's frames again, for another annotator."""
    return text_of(job.type) in _REPLICA


def _enter_organization(client: Any, task: Any) -> None:
    """Make the client send the task's organization: CVAT calls functions for its frames only in that organization."""
    if client.organization_slug is None and task.organization is not None:
        client.organization_slug = str(get_json(client, f"/api/organizations/{task.organization}")["slug"])


def _holds_ground_truth(job: Any) -> bool:
    return text_of(job.type) == _GROUND_TRUTH


def text_of(enumerated: object) -> str:
    """The text of a value of cvat-sdk's enumerations; some versions return plain texts instead."""
    return str(getattr(enumerated, "value", enumerated))
