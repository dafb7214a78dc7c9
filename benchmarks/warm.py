"""A person's first click into a picture of 1080p: cold, and after ``promptable warm``; the models have random weights.

The interactor is served as a process, and the stand-in for CVAT hands clicks on as CVAT does: with the picture's
original bytes, in a request to the function's port. Both ways decode the picture; only its encoding is spared.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import urllib3

from benchmarks import real_models
from benchmarks.click_requests import SIZES, jpeg
from benchmarks.measure import Measurement, Row, beside, in_fresh_process
from promptable.cli.main import main
from promptable.local.options import Options
from promptable.local.server import serve
from toy.cvat.http import serve as serve_cvat
from toy.cvat.stand_in import TOKEN, StandIn, Task

_ROOT = Path(__file__).parents[1]
_NAME = "sam-interactor"
_MODELS = ("sam2.1-tiny", "vit_b")
_SIZE = "1080p"
_FRAMES = 3
"""So many are clicked into cold, and as many warmed; one more goes before, which nobody times."""
_JOB = 1


def measurements(quick: bool) -> list[Measurement]:
    """Both models; ``quick``: SAM 2.1 tiny only."""
    return [Measurement(model, partial(_row, model)) for model in _MODELS[: 1 if quick else None]]


def _row(model: str) -> list[Row]:
    cold, warmed = in_fresh_process(_first_clicks, real_models.interactor(model))
    return [beside(f"{model}, {_SIZE}: first click", cold, warmed)]


def _first_clicks(folder: Path) -> tuple[float, float]:
    """Median seconds into pictures that nobody has seen, and into those that were warmed."""
    pictures = [jpeg(_SIZE, seed) for seed in range(2 * _FRAMES + 1)]
    options = Options(dashboard_port=0, port_base=0, env={"PROMPTABLE_MODEL": str(folder)})
    with serve(_ROOT / "functions", (_NAME,), options) as running, serve_cvat(_cvat(pictures)) as cvat:
        running.require_ready()
        cvat.answers = {_NAME: _handed_on(pictures, running.url(_NAME))}
        _clicks(cvat, [0])
        cold = _clicks(cvat, range(1, _FRAMES + 1))
        _warm(cvat, _FRAMES + 1)
        warmed = _clicks(cvat, range(_FRAMES + 1, 2 * _FRAMES + 1))
    return median(cold), median(warmed)


def _cvat(pictures: Sequence[bytes]) -> StandIn:
    job = (_JOB, "annotation", 0, len(pictures) - 1)
    return StandIn(tasks={1: Task(pictures, SIZES[_SIZE], [job])}, kinds={_NAME: "interactor"})


def _handed_on(pictures: Sequence[bytes], url: str) -> Any:
    """What CVAT does with a click on a frame."""
    http = urllib3.PoolManager()

    def call(request: Mapping[str, Any]) -> Any:
        clicks = {key: request[key] for key in ("pos_points", "neg_points", "obj_bbox")}
        image = base64.b64encode(pictures[request["frame"]]).decode()
        return json.loads(http.request("POST", url, body=json.dumps({**clicks, "image": image}), timeout=600.0).data)

    return call


def _clicks(cvat: StandIn, frames: Sequence[int]) -> list[float]:
    """Seconds of a click into each frame, where ``warm`` does not click."""
    height, width = SIZES[_SIZE]
    clicks = {"pos_points": [[width / 3, height / 3]], "neg_points": [], "obj_bbox": []}
    seconds = []
    for frame in frames:
        body = json.dumps({**clicks, "job": _JOB, "frame": frame})
        started = perf_counter()
        answer = urllib3.request("POST", f"{cvat.url}/api/lambda/functions/{_NAME}", body=body, timeout=600.0)
        seconds.append(perf_counter() - started)
        if answer.status != 200:
            raise RuntimeError(f"a click was answered {answer.status}: {answer.data[:200]!r}")
    return seconds


def _warm(cvat: StandIn, first: int) -> None:
    os.environ["CVAT_ACCESS_TOKEN"] = TOKEN
    where = ["--job", str(_JOB), "--from", str(first), "--next", str(_FRAMES), "--url", cvat.url]
    with redirect_stdout(StringIO()) as said:
        status = main(["warm", *where, "--yes"])
    if status:
        raise RuntimeError(f"warm ended with {status}: {said.getvalue()}")
