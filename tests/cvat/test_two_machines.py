"""Two machines at one task, each with its own journal, and slow servers beside them: nothing is lost or doubled."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.annotate import detector
from promptable.cvat.annotate.writing import upload
from promptable.cvat.propagate import run as propagating
from promptable.cvat.propagate.changes import changes
from promptable.cvat.propagate.writing import upload as tracks_upload
from promptable.cvat.propagate.writing.job_contents import JobContents
from promptable.cvat.server import late_requests
from tests.cvat.annotating import annotate, stored
from tests.cvat.annotating import prepare as prepare_pictures
from tests.cvat.propagating import draw, prepare, propagate
from tests.cvat.propagating import stored as followed
from toy.cvat.stand_in import StandIn


class Machines:
    """Says whose journal the next commands have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self._folder = folder

    def use(self, name: str) -> None:
        self._monkeypatch.setenv("XDG_STATE_HOME", str(self._folder / name))


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machines:
    """No waiting."""
    monkeypatch.setattr(detector, "PAUSES", ())
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    return Machines(monkeypatch, tmp_path)


def _frames(cvat: StandIn) -> list[int]:
    """Of the shapes that there are."""
    return sorted(shape["frame"] for job in (1, 2) for shape in cvat.annotations.read(job)["shapes"])


def test_all_that_goes_is_no_twin_of_what_comes(cvat: StandIn, machines: Machines) -> None:
    prepare_pictures(cvat)
    machines.use("one")
    assert annotate(cvat, "--frames", "5-7") == 0
    once = stored(cvat)
    machines.use("another")
    assert annotate(cvat, "--frames", "5-7", "--replace-all", "--yes") == 0
    assert stored(cvat) == once


@pytest.mark.parametrize("undone", [True, False])
def test_an_own_late_copy_is_not_another_runs(cvat: StandIn, machines: Machines, undone: bool) -> None:
    """It is stored while the next run asks."""
    prepare_pictures(cvat)
    machines.use("one")
    cvat.late_writes = 1
    assert annotate(cvat, "--frames", "5-7") == 0
    once, detect = stored(cvat), cvat.answers[""]
    if undone:
        assert annotate(cvat, "--undo", "1") == 0

    def slow(request: Mapping[str, Any]) -> Any:
        if base64.b64decode(request["image"]).startswith(b"picture"):  # the run has begun
            cvat.store_late()
        return detect(request)

    cvat.answers = {"": slow}
    assert annotate(cvat, "--frames", "5-7", "--replace") == 0
    assert stored(cvat) == once


def test_both_had_to_send_again(cvat: StandIn, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has looked before the other one stored anything."""
    prepare_pictures(cvat)
    with monkeypatch.context() as patched:
        patched.setattr(upload, "without_twins", lambda _journal, _job, uploads, _there: list(uploads))
        patched.setattr(upload, "highest_ids", lambda _there: {"shape": 0, "tag": 0})
        patched.setattr(upload, "look_for", lambda *_: None)
        for name in ("one", "another"):
            machines.use(name)
            cvat.late_writes = 1
            assert annotate(cvat, "--frames", "5-7", "--append", "--yes") == 0
    cvat.store_late()
    for name in ("one", "another", "one"):
        machines.use(name)
        assert annotate(cvat, "--frames", "1", "--append", "--yes") == 0
    assert set(_frames(cvat)) == {1, 5, 6, 7}, "one copy of each at least"


def test_both_had_to_send_tracks_again(cvat: StandIn, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 19)])
    draw(cvat, (10, 20, 30, 40))
    machines.use("one")
    with monkeypatch.context() as patched:
        patched.setattr(propagating, "Uploader", _interrupted)
        assert propagate(cvat) == 130
    with monkeypatch.context() as patched:
        patched.setattr(JobContents, "highest_ids", lambda _contents: {"shape": 0, "track": 0})
        patched.setattr(changes, "highest_ids", lambda *_: {"shape": 0, "track": 0})
        patched.setattr(tracks_upload.Uploader, "_look_for", lambda *_: None)
        for name in ("another", "one"):
            machines.use(name)
            cvat.late_writes = 1
            assert propagate(cvat) == 0
    cvat.store_late()
    for name in ("another", "one"):
        machines.use(name)
        assert propagate(cvat, "--from", "5") == 0
    assert cvat.annotations.read(1)["tracks"]


def test_tracks_of_a_run_that_goes_on_behind_another_ones(
    cvat: StandIn, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is stopped when it has planned what to write, then the other one does all of it."""
    prepare(cvat)
    draw(cvat, (10, 20, 30, 40))
    machines.use("one")
    with monkeypatch.context() as patched:
        patched.setattr(propagating, "Uploader", _interrupted)
        assert propagate(cvat) == 130
    machines.use("another")
    assert propagate(cvat) == 0
    once = followed(cvat)
    machines.use("one")
    assert propagate(cvat) == 0
    assert followed(cvat) == once


def test_of_a_lost_answer_what_came_first_is_not_taken_for_its_own(cvat: StandIn, machines: Machines) -> None:
    prepare_pictures(cvat)
    machines.use("one")

    def twice() -> None:
        """Another run stores the same while the answer to this one is lost."""
        cvat.when_stored = lambda: None
        held = cvat.annotations.job(2).by_kind
        again = {kind: [dict(one) for one in held[kind].values()] for kind in ("shapes", "tags")}
        cvat.annotations.patch(2, "create", again)

    cvat.when_stored, cvat.lost_answers = twice, 1
    assert annotate(cvat, "--frames", "5-7") == 0
    assert _frames(cvat) == [5, 6, 6, 7, 7], "the one that came first stays, whoever's it is"


def _interrupted(*_: object) -> object:
    raise KeyboardInterrupt
