"""A command in a process that is killed before a given step, to see whether nothing is lost."""

import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

from promptable.cvat.journal import database
from promptable.cvat.server.http import rest


class Steps:
    """Counts what this process writes into the journal and what it asks CVAT, and kills it before one of them."""

    def __init__(self, last: int | None) -> None:
        self.taken = 0
        self._last = last

    def step(self) -> None:
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.taken += 1

    def install(self) -> None:
        steps = self

        class Counting(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if sql.startswith(("COMMIT", "UPDATE")):
                    steps.step()
                return super().execute(sql, *arguments)

        connect, request = sqlite3.connect, rest.Rest.request

        def counted(self: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            if "annotations" in url:
                steps.step()
            return request(self, method, url, *arguments, **options)

        database.sqlite3 = _Module(lambda *a, **o: connect(*a, factory=Counting, **o))  # type: ignore[attr-defined,assignment]
        rest.Rest.request = counted  # type: ignore[method-assign]


class _Module:
    """sqlite3 with another ``connect``."""

    def __init__(self, connect: Callable[..., sqlite3.Connection]) -> None:
        self.connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)


def run_until(last: int | None, command: Callable[[], int]) -> tuple[int, bool]:
    """Run it in a process that is killed before its step ``last``: (status, whether it was killed)."""
    child = os.fork()
    if not child:
        status = 99  # an error of the test must not go on as another pytest
        try:
            Steps(last).install()
            status = command()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), os.WIFSIGNALED(status)


def assert_same_wherever_killed(
    fresh: Callable[[int], None], command: Callable[[], int], held: Callable[[], object]
) -> int:
    """Killed before any of its steps and run again, a command leaves what it leaves undisturbed: returns its steps.

    ``fresh`` prepares the same beginning anew, under a number; ``held`` is what must be the same at the end.
    """
    fresh(0)
    assert command() == 0
    whole = held()
    steps, killed = 0, True
    while killed:
        fresh(steps + 1)
        status, killed = run_until(steps, command)
        assert (command() if killed else status) == 0, f"killed before step {steps}"
        assert held() == whole, f"killed before step {steps}"
        steps += killed
    return steps
