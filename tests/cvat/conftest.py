import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptable.cvat.journal import database, writable
from toy.cvat.http import serve
from toy.cvat.stand_in import TOKEN, StandIn


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token, no profile or journal of whoever runs the tests, a folder for pages, and no waiting between tries."""
    monkeypatch.chdir(tmp_path)
    for name in ("CVAT_USERNAME", "CVAT_PASSWORD", "PASS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture(autouse=True, scope="session")
def _journals_do_not_wait_for_the_disk() -> Iterator[None]:
    """A killed process loses nothing by it: only a loss of power would, which no test tries."""

    def open_to_write(path: Path) -> sqlite3.Connection:
        journal = database.open_to_write(path)
        journal.execute("PRAGMA synchronous=OFF")
        return journal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writable, "open_to_write", open_to_write)
        yield


@pytest.fixture
def cvat() -> Iterator[StandIn]:
    with serve(StandIn()) as stand_in:
        yield stand_in
