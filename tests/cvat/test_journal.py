"""What others read in the journal of a task."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from promptable.cvat.journal import Journal, JournalReader, journal_path
from promptable.cvat.server.errors import CvatError
from tests.cvat.annotating import BAD, annotate, prepare
from toy.cvat.stand_in import StandIn


def test_a_reader_sees_runs_detections_and_uploads_beside_a_run_at_work(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    annotate(cvat, "--frames", "4-7")
    (path,) = tmp_path.rglob("*.sqlite")
    at_work, reader = Journal(path), JournalReader(path)
    with at_work.alone():
        at_work.begin("annotate", {}, {}, [(1, 0)])
        first, second = reader.runs()
        assert (first.state, second.state) == ("finished", "running")
        assert first.ended is not None
        assert second.ended is None
        assert [one.detection.score for one in reader.detections(first.id, frame=7)] == [0.9, 0.4, 0.2]
        assert [one.frame for one in reader.detections(first.id)] == [5, 6, 6, 7, 7, 7]
        assert list(reader.errors(first.id)) == [BAD]
        shapes = {one.server_id: one for one in reader.uploads(run=first.id, job=2) if one.kind == "shape"}
        assert set(shapes) == {shape["id"] for shape in cvat.annotations.read(2)["shapes"]}
        found = {one.id: one for one in reader.detections(first.id)}
        assert all(found[one.detection or 0].frame == one.frame for one in shapes.values())
        assert [one.frame for one in reader.uploads(frame=7) if one.kind == "shape"] == [7, 7]
    at_work.close()
    reader.close()


def test_a_reader_makes_no_journal(tmp_path: Path) -> None:
    with pytest.raises(CvatError, match="no run of this task is in the journal here"):
        JournalReader(tmp_path / "none.sqlite")
    assert not list(tmp_path.iterdir())


def test_a_reader_changes_nothing(cvat: StandIn, tmp_path: Path) -> None:
    Journal(tmp_path / "a.sqlite").close()
    reader = JournalReader(tmp_path / "a.sqlite")
    with pytest.raises(Exception, match="readonly"):
        reader._db.execute("DELETE FROM runs")
    reader.close()


def test_the_folder_of_a_journal_is_for_its_users_eyes(tmp_path: Path) -> None:
    Journal(tmp_path / "server" / "task-1.sqlite").close()
    assert (tmp_path / "server").stat().st_mode & 0o777 == 0o700


def test_a_task_has_one_journal_whatever_time_zone_its_server_writes_in() -> None:
    server = "http://cvat:8080"
    path = journal_path(server, 3, "2026-01-02T03:04:05.678Z")
    assert path.name == "task-3-20260102030405.sqlite"
    for same in ("2026-01-02 05:04:05.678+02:00", "2026-01-02 03:04:05", "2026-01-01T22:04:05-05:00"):
        assert path == journal_path(server, 3, same)
    assert path != journal_path(server, 3, "2026-01-02T05:04:05Z")


def test_a_journal_that_was_named_by_the_servers_own_time_is_still_found() -> None:
    server, created = "http://cvat:8080", "2026-01-02T05:04:05+02:00"
    now = journal_path(server, 3, created)
    former = now.with_name("task-3-20260102050405.sqlite")
    Journal(former).close()
    assert journal_path(server, 3, created) == former
    Journal(now).close()
    assert journal_path(server, 3, created) == now


@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR_LOCK", "SQLITE_CANTOPEN"])
def test_a_disk_that_refuses_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Refusing(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("the disk")
            error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
            raise error

    with closing(Journal(tmp_path / "a.sqlite")) as journal:
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Refusing))
        with pytest.raises(sqlite3.OperationalError, match="the disk"), journal.alone():
            pass
