"""A journal that is open for writing: its lock, and its transactions."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from promptable.cvat.journal.database import open_to_write
from promptable.cvat.journal.reading import JournalReader
from promptable.cvat.server.errors import CvatError

_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""SQLite's result codes when another process holds the lock."""
_PRIMARY = 0xFF
"""The bits of SQLite's extended result codes that are the primary result code: https://sqlite.org/rescode.html."""


class WritableJournal(JournalReader):
    """The journal of one task, open for writing."""

    def __init__(self, path: Path) -> None:
        """Opens the journal; creates it if there is none."""
        self.path = path
        self._db = open_to_write(path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the task's lock, so that no other run works on the task. Raises CvatError if another run holds it.

        The lock of a killed process is released. Raises sqlite3.OperationalError, as all of the journal, if the disk
        cannot be written or does not support locks.
        """
        lock = sqlite3.connect(self.path.with_suffix(".lock"), timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            if error.sqlite_errorcode & _PRIMARY not in _HELD:
                raise
            raise CvatError("another run is at work on this task: wait until it is done") from None
        try:
            yield
        finally:
            lock.close()

    def _insert(self, where: str, values: Sequence[object]) -> int:
        marks = ", ".join("?" * len(values))
        return int(self._db.execute(f"INSERT INTO {where} VALUES ({marks})", values).lastrowid or 0)  # noqa: S608

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[None]:
        """One transaction. ``durable`` waits until it, and everything written before, is on the disk."""
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
