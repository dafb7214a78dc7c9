"""A stand-in for CVAT's server, and the commands over it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptable.cli.main import main
from toy.cvat.http import serve
from toy.cvat.stand_in import TOKEN, StandIn


@contextmanager
def served(cvat: StandIn, folder: Path) -> Iterator[StandIn]:
    """Serve it; the journals lie in the folder, those of before go."""
    shutil.rmtree(folder / "journals", ignore_errors=True)
    before = dict(os.environ)
    os.environ |= {"CVAT_ACCESS_TOKEN": TOKEN, "XDG_STATE_HOME": str((folder / "journals").absolute())}
    try:
        with serve(cvat):
            yield cvat
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(command: str, cvat: StandIn, task: int, *options: str) -> None:
    """A command over a task. Raises SystemExit where it fails."""
    if status := main([command, "--task", str(task), "--url", cvat.url, *options]):
        raise SystemExit(status)
