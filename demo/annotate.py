"""A task on a stand-in for CVAT, annotated by ``promptable annotate``: once at a go, once stopped and gone on with."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from demo.answers import drawing_of
from demo.page import Section
from demo.pictures import overlay, save
from promptable.config.labels import ATTRIBUTES
from toy.cvat.http import serve
from toy.cvat.stand_in import TOKEN, StandIn, Task
from toy.png import png
from toy.scenes import SIZE, Scene, scene

_FIRST_SEED = 22_000_000
_FRAMES, _OF_A_JOB = 72, 24
_AT_A_GO, _STOPPED = 1, 2
"""The tasks, of equal pictures."""
_INTERRUPTED = 130
_SHOWN = 6
_LABELS = [(label["name"], label["type"]) for label in yaml.safe_load(Path("toy/labels.yaml").read_text("utf-8"))]


def annotate(folder: Path, function_url: str) -> Section:
    """Annotate both tasks and compare them; leaves ``review.html``. Raises SystemExit where something is wrong."""
    scenes = [scene(_FIRST_SEED + i) for i in range(_FRAMES)]
    state = folder / "journals"
    shutil.rmtree(state, ignore_errors=True)
    with serve(_server(scenes)) as cvat, (folder / "annotate.log").open("w") as log:
        command = _Command(cvat, function_url, folder, log)
        command.run(_AT_A_GO)
        command.stop_at_the_first_upload(_STOPPED)
        before = _annotations(cvat, _STOPPED)
        command.run(_STOPPED)
        whole, stopped = (_annotations(cvat, task) for task in (_AT_A_GO, _STOPPED))
    if sorted(map(_content, whole)) != sorted(map(_content, stopped)):
        raise SystemExit("annotate: a run that was stopped and gone on with has other annotations than one at a go")
    shapes = [one for one in stopped if "points" in one]
    figures = {"annotations when stopped": len(before), "in the end": len(stopped), "at a go": len(whole)}
    return Section(
        "A whole task overnight, stopped and gone on with",
        f"promptable annotate over {_FRAMES} pictures of a CVAT task (here a stand-in for its server): stopped by "
        "Ctrl-C after its first upload, and run again. Shapes and tags, which are counted here, are the same as those "
        "of a run at a go. Below the frames that a person should look at first, those of the least sure shapes.",
        figures,
        _weakest(scenes, shapes, folder),
    )


class _Command:
    """``promptable annotate`` in a process of its own, as people run it."""

    def __init__(self, cvat: StandIn, function_url: str, folder: Path, log: Any) -> None:
        self._cvat = cvat
        self._log = log
        own = {"CVAT_ACCESS_TOKEN": TOKEN, "XDG_STATE_HOME": str((folder / "journals").resolve())}
        self._environment = {**os.environ, **own}
        page = str(folder / "review.html")
        self._options = ["--url", cvat.url, "--function", function_url, "--queue", page]

    def run(self, task: int) -> None:
        """To its end."""
        if status := self._start(task).wait():
            raise SystemExit(f"annotate ended with {status}, see {self._log.name}")

    def stop_at_the_first_upload(self, task: int) -> None:
        """As Ctrl-C does, while the command waits for CVAT's answer to what it has uploaded."""
        process = self._start(task)
        self._cvat.when_stored = partial(process.send_signal, signal.SIGINT)
        status = process.wait()
        self._cvat.when_stored = lambda: None
        if status != _INTERRUPTED:
            raise SystemExit(f"annotate was stopped and ended with {status}, see {self._log.name}")

    def _start(self, task: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "promptable", "annotate", "--task", str(task), *self._options]
        return subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)  # noqa: S603


def _server(scenes: Sequence[Scene]) -> StandIn:
    """Two tasks of these pictures, with the labels of the toy checkpoints and the tag of what is to be reviewed."""
    pictures = [png(one.image) for one in scenes]
    labels = [*_LABELS, ("needs-review", "tag")]
    return StandIn(
        tasks={task: Task(pictures, (SIZE, SIZE), _jobs(task)) for task in (_AT_A_GO, _STOPPED)},
        labels={("task_id", task): labels for task in (_AT_A_GO, _STOPPED)},
        attributes=[{"id": i, "default_value": "", **attribute} for i, attribute in enumerate(ATTRIBUTES)],
    )


def _jobs(task: int) -> list[tuple[int, str, int, int]]:
    return [(100 * task + first, "annotation", first, first + _OF_A_JOB - 1) for first in range(0, _FRAMES, _OF_A_JOB)]


def _annotations(cvat: StandIn, task: int) -> list[Mapping[str, Any]]:
    """The shapes and tags of a task."""
    held = [cvat.annotations.read(job) for job, *_ in _jobs(task)]
    return [one for job in held for kind in ("shapes", "tags") for one in job[kind]]


def _content(one: Mapping[str, Any]) -> str:
    """All but the id, which the server gives."""
    return str({key: value for key, value in sorted(one.items()) if key != "id"})


def _weakest(scenes: Sequence[Scene], shapes: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Pictures of the frames whose least sure shape is the least sure of all; their files' names."""
    frames = list(dict.fromkeys(one["frame"] for one in sorted(shapes, key=lambda one: one["score"])))[:_SHOWN]
    names = []
    for frame in frames:
        drawings = [
            drawing_of({**one, "label": _LABELS[one["label_id"]][0], "confidence": one["score"]}, (SIZE, SIZE))
            for one in shapes
            if one["frame"] == frame
        ]
        names.append(f"annotate-{frame}.png")
        save(overlay(scenes[frame].image, drawings), folder / names[-1])
    return names
