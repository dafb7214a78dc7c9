"""Which frames a task or a job has, and their bytes."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from promptable.cvat.preview.run import frames_of_cvat, spread
from promptable.cvat.server.client import Login, connect
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames
from toy.cvat import stand_in
from toy.cvat.stand_in import StandIn, Task

PICTURES = [f"picture {i}".encode() for i in range(10)]
JOBS = [(1, "annotation", 0, 4), (2, "annotation", 5, 9)]


def _chunks(cvat: StandIn) -> int:
    return sum("type=chunk" in asked for asked in cvat.asked)


def test_frames_of_a_task_and_of_a_job_have_the_tasks_numbers(cvat: StandIn) -> None:
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS, deleted=[2])}
    with connect(Login(cvat.url)) as client:
        task, job = Frames(client, task=3), Frames(client, job=2)
        assert tuple(task.numbers) == (0, 1, 3, 4, 5, 6, 7, 8, 9)
        assert tuple(job.numbers) == (5, 6, 7, 8, 9)
        assert (job.frame(6).name, job.frame(6).hw) == ("6.png", (40, 60))
        with pytest.raises(CvatError, match="there is no frame 2: expected one from 0 to 9"):
            task.frame(2)


def test_original_bytes_come_by_chunks_where_many_are_wanted(cvat: StandIn) -> None:
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS)}
    with connect(Login(cvat.url)) as client:
        frames = Frames(client, task=3)
        assert dict(frames.read([9, 1, 5, 7, 6])) == {i: PICTURES[i] for i in (1, 5, 6, 7, 9)}
        assert _chunks(cvat) == 1, "5 to 7 are three of one chunk"


def _cut(chunk: bytes) -> bytes:
    return chunk[:-5]


def _with_a_place_that_cannot_be(chunk: bytes) -> bytes:
    """In the record at the end, which is 22 bytes: where the list of files begins."""
    return chunk[:-6] + b"\xff\xff\xff\x7f" + chunk[-2:]


@pytest.mark.parametrize("damaged", [_cut, _with_a_place_that_cannot_be])
def test_a_chunk_that_arrives_damaged_is_asked_for_frame_by_frame(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, damaged: Callable[[bytes], bytes]
) -> None:
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS)}
    whole = stand_in._data

    def data(*asked: Any) -> bytes:
        return damaged(whole(*asked)) if asked[1]["type"] == "chunk" else whole(*asked)

    monkeypatch.setattr(stand_in, "_data", data)
    with connect(Login(cvat.url)) as client:
        assert dict(Frames(client, task=3).read([5, 6, 7])) == {i: PICTURES[i] for i in (5, 6, 7)}
    assert _chunks(cvat) == 1


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_chunk_that_unpacks_to_more_than_it_has_is_not_unpacked(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, packing: int
) -> None:
    """CVAT stores originals in it as they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as archive:
        for number in range(4):
            archive.writestr(f"{number}.png", bytes(2**20))
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS)}
    whole = stand_in._data
    monkeypatch.setattr(
        stand_in, "_data", lambda *asked: packed.getvalue() if asked[1]["type"] == "chunk" else whole(*asked)
    )
    with connect(Login(cvat.url)) as client:
        assert dict(Frames(client, task=3).read([5, 6, 7])) == {i: PICTURES[i] for i in (5, 6, 7)}


def test_a_task_of_deleted_frames_is_a_sentence(cvat: StandIn) -> None:
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS, deleted=range(10))}
    with connect(Login(cvat.url)) as client:
        frames = Frames(client, task=3)
        with pytest.raises(CvatError, match="there is no frame 0: all frames are deleted"):
            frames.frame(0)
        with pytest.raises(CvatError, match="task 3 has no frame that is not deleted"):
            frames_of_cvat(frames, spread(frames.numbers, 5, seed=0))


def test_frames_of_a_video_come_one_by_one_in_the_tasks_size(cvat: StandIn) -> None:
    cvat.tasks = {3: Task(PICTURES, (189, 191), JOBS, video=True)}
    with connect(Login(cvat.url)) as client:
        frames = Frames(client, task=3)
        assert frames.is_video
        assert dict(frames.read(frames.numbers)) == dict(enumerate(PICTURES))
        assert frames.frame(9).hw == (189, 191)
    assert _chunks(cvat) == 0


def test_the_ground_truth_is_left_alone(cvat: StandIn) -> None:
    jobs = [*JOBS[:1], (9, "ground_truth", 5, 9)]
    cvat.tasks = {3: Task(PICTURES, (40, 60), jobs)}
    with connect(Login(cvat.url)) as client:
        frames = Frames(client, task=3)
        assert tuple(frames.numbers) == (0, 1, 2, 3, 4), "a pool that only the ground truth's job shows is none of them"
        assert [job.id for job in frames.jobs] == [1]
        with pytest.raises(CvatError, match="job 9 holds the ground truth"):
            Frames(client, job=9)


def test_the_ground_truth_and_deleted_frames_are_there_for_who_asks(cvat: StandIn) -> None:
    jobs = [(1, "annotation", 0, 4), (9, "ground_truth", 0, 9)]
    cvat.tasks = {3: Task(PICTURES, (40, 60), jobs, deleted=[2], validation=[3, 7])}
    with connect(Login(cvat.url)) as client:
        frames = Frames(client, task=3, with_ground_truth=True)
        assert tuple(frames.numbers) == (0, 1, 3, 4, 7)
        assert {job.id: sorted(frames.shown_in(job)) for job in frames.jobs} == {1: [0, 1, 2, 3, 4], 9: [3, 7]}
        assert tuple(Frames(client, job=9, with_ground_truth=True).numbers) == (3, 7)
        frames = Frames(client, task=3, with_deleted=True)
        assert tuple(frames.numbers) == (0, 1, 2, 3, 4)
        assert frames.frame(2).name == "2.png"


def test_a_job_alone_is_not_enough(cvat: StandIn) -> None:
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS, forbidden=True)}
    said = "forbids task 3 to this account: .* Being assigned the job is not enough: the commands read its task"
    with connect(Login(cvat.url)) as client, pytest.raises(CvatError, match=said):
        Frames(client, job=2)


def test_what_is_not_there_is_said(cvat: StandIn) -> None:
    cvat.tasks = {3: Task([], (40, 60), [])}
    with connect(Login(cvat.url)) as client:
        for sentence, task, job in (("has no task 4", 4, None), ("has no job 4", None, 4), ("no data", 3, None)):
            with pytest.raises(CvatError, match=sentence):
                Frames(client, task=task, job=job)


@pytest.mark.parametrize(("dimension", "held"), [("1d", "audio"), ("3d", "point clouds"), ("4d", "4d")])
def test_a_task_without_pictures_is_said(cvat: StandIn, dimension: str, held: str) -> None:
    cvat.tasks = {3: Task(PICTURES, (40, 60), JOBS, dimension=dimension)}
    with connect(Login(cvat.url)) as client, pytest.raises(CvatError, match=f"task 3 holds {held}: expected pictures"):
        Frames(client, task=3)
