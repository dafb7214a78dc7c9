"""``promptable annotate`` over a stand-in for CVAT: how busy it keeps the model, what more workers bring, its memory.

- *Busy*: Grounding DINO Swin-T of the real size answers pictures of 1080p, one request at a time. What counts is the
  share of a run in which it has a request to answer. Beside it CVAT's own loop: fetch a frame, ask, fetch the next.
- *Workers*: one toy model, and four as replicas on other machines: four of them that compute would share the cores of
  this one, so they take the time that the toy model was measured to take here, without computing.
- *Memory*: the most that the command's process held, for a task of 100 frames and for one of 10,000.

The stand-in serves from a process of its own.
"""

import base64
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, redirect_stdout
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Lock, Semaphore
from typing import Any

import numpy as np
import urllib3
from PIL import Image

from benchmarks.cvat_server import served
from benchmarks.measure import Measurement, Row, in_fresh_process, peak_megabytes, timed_each
from promptable.cli.main import main
from toy.cvat.stand_in import TOKEN, StandIn, Task

_ROOT = Path(__file__).parents[1]
_TASK = 3
_JOB_FRAMES = 100
_PICTURES_1080P = 6
_REPLICA_FRAMES = 160
_FOUND = 4
"""Objects on a frame, where none are looked for."""
_TOY_CALLS = 20
_LABELS = [{"name": "rivet", "type": "rectangle", "threshold": 0.3, "max_area": 1.0, "marks": None}]


def measurements(quick: bool) -> list[Measurement]:
    """All three; ``quick``: without the real model, and memory for 1,000 frames in place of 10,000."""
    busy = Measurement("how busy the model is", _compared_busy, rows=2)
    frames = (100, 1000) if quick else (100, 10_000)
    return [
        *([] if quick else [busy]),
        Measurement("workers", _compared_workers),
        *(Measurement(f"memory, {count:,} frames", partial(_memory_row, count)) for count in frames),
    ]


def _compared_busy() -> Iterator[Row]:
    """The real model's share of time with work, under CVAT's own loop and under the command."""
    for what, way in (("CVAT's own loop", _loop), ("annotate", _annotate_all)):
        pace, share = in_fresh_process(_busy, way)
        yield Row(f"Swin-T, {what}", {"frames/s": pace, "busy %": 100 * share})


def _busy(way: Callable[[str, int], None]) -> tuple[float, float]:
    """Frames a second, and the share of the run in which the model had work."""
    pictures = [_picture(seed) for seed in range(_PICTURES_1080P)]
    with _served(pictures, _real_model) as url:
        started = time.perf_counter()
        way(url, len(pictures))
        whole = time.perf_counter() - started
        return len(pictures) / whole, float(_clock(url, "busy")) / whole


def _compared_workers() -> list[Row]:
    seconds = in_fresh_process(_toy_seconds)
    one, four = (in_fresh_process(_frames_per_second, workers, seconds) for workers in (1, 4))
    paces = {"one picture ms": 1000 * seconds, "1 worker frames/s": one, "4 workers frames/s": four}
    return [Row("toy, 4 workers against 1", {**paces, "times": four / one})]


def _memory_row(frames: int) -> list[Row]:
    return [Row(f"memory, {frames:,} frames", {"MB": in_fresh_process(_memory, frames)})]


def _toy_seconds() -> float:
    """What the toy model takes for a picture, over HTTP."""
    from promptable.local.options import Options
    from promptable.local.server import serve
    from toy.png import png_base64
    from toy.scenes import scene

    options = Options(dashboard_port=0, port_base=0, models=_ROOT / "toy", labels=_ROOT / "toy" / "labels.yaml")
    with serve(_ROOT / "functions", ("grounding-dino",), options) as running:
        running.require_ready()
        url = running.url("grounding-dino")
        bodies = [json.dumps({"image": png_base64(scene(seed).image), "floor": 0.1}) for seed in range(_TOY_CALLS)]
        return median(timed_each(lambda body: urllib3.request("POST", url, body=body), bodies)[0])


def _frames_per_second(workers: int, seconds: float) -> float:
    """Of the command while it asks: from the first answer to the last."""
    with _served([_small_picture()] * _REPLICA_FRAMES, partial(_replicas, workers, seconds)) as url:
        _annotate(url, 2 * workers)
        first, last = _clock(url, "answered")
        return (_REPLICA_FRAMES - 1) / float(last - first)


def _memory(frames: int) -> float:
    with _served([_small_picture()] * frames, _instant) as url:
        _annotate(url, 2)
        return peak_megabytes()


def _annotate_all(url: str, _frames: int) -> None:
    """The command, which knows how many frames there are."""
    _annotate(url, 2)


def _annotate(url: str, concurrency: int) -> None:
    """The command, in this process, to its end."""
    with TemporaryDirectory() as state, redirect_stdout(sys.stderr):
        os.environ |= {"XDG_STATE_HOME": state, "CVAT_ACCESS_TOKEN": TOKEN}
        where = ["--task", str(_TASK), "--url", url, "--function", f"{url}/", "--queue", f"{state}/queue.html"]
        status = main(["annotate", *where, "--concurrency", str(concurrency)])
    if status:
        raise RuntimeError(f"annotate ended with {status}")


def _loop(url: str, frames: int) -> None:
    """As CVAT's worker runs a whole task: strictly frame after frame."""
    http, header = urllib3.PoolManager(), {"Authorization": f"Bearer {TOKEN}"}
    for frame in range(frames):
        where = f"{url}/api/tasks/{_TASK}/data?type=frame&number={frame}&quality=original"
        image = base64.b64encode(http.request("GET", where, headers=header).data).decode()
        http.request("POST", f"{url}/", body=json.dumps({"image": image, "floor": 0.1}), timeout=600.0)


def _clock(url: str, what: str) -> Any:
    """What the function's clock says: ``busy`` or ``answered``."""
    return json.loads(urllib3.request("POST", f"{url}/{what}", body="{}").data)


def _served(
    pictures: list[bytes], make: Callable[[], Callable[[Mapping[str, Any]], Any]]
) -> AbstractContextManager[str]:
    """The stand-in with a task of these pictures and a function that ``make`` makes; its address."""
    return served(partial(_stand_in, pictures, make))


def _stand_in(pictures: list[bytes], make: Callable[[], Callable[[Mapping[str, Any]], Any]]) -> StandIn:
    last = len(pictures) - 1
    jobs = [
        (n + 1, "annotation", n * _JOB_FRAMES, min((n + 1) * _JOB_FRAMES - 1, last))
        for n in range(last // _JOB_FRAMES + 1)
    ]
    clock = _Clock(make())
    return StandIn(
        tasks={_TASK: Task(pictures, (1080, 1920), jobs)},
        labels={("task_id", _TASK): [("rivet", "rectangle")]},
        answers={"": clock.answer, "busy": lambda _: clock.seconds, "answered": lambda _: clock.answered},
    )


class _Clock:
    """A function that knows how long it had something to answer, and when: ``answered``, first and last, in seconds.

    Pictures of the task count only.
    """

    def __init__(self, answer: Callable[[Mapping[str, Any]], Any]) -> None:
        self._answer = answer
        self._lock = Lock()
        self._under_way = 0
        self._since = 0.0
        self.seconds = 0.0
        self.answered: list[float] = []

    def answer(self, request: Mapping[str, Any]) -> Any:
        if request["floor"] == 1.0:
            return _candidates([])
        with self._lock:
            self._under_way += 1
            if self._under_way == 1:
                self._since = time.perf_counter()
        try:
            return self._answer(request)
        finally:
            with self._lock:
                now = time.perf_counter()
                self.answered = [*self.answered[:1], now]
                self._under_way -= 1
                if not self._under_way:
                    self.seconds += now - self._since


def _candidates(boxes: list[list[float]]) -> Mapping[str, Any]:
    return {
        "model": "stand-in",
        "hw": [1080, 1920],
        "floor": 0.1,
        "labels": _LABELS,
        "rules": {"nms_iou": 0.6, "cross_label_iou": 1.0, "limit": 300},
        "proposals": {
            "boxes": boxes,
            "labels": [0] * len(boxes),
            "scores": [0.5] * len(boxes),
            "captions": [0] * len(boxes),
            "cut": [[0] * 4] * len(boxes),
            "beyond_overlap": [0] * len(boxes),
        },
        "masks": [],
    }


def _instant() -> Callable[[Mapping[str, Any]], Any]:
    """A function that costs nothing."""
    found = _some_candidates()
    return lambda _: found


def _some_candidates() -> Mapping[str, Any]:
    return _candidates([[100.0 * i, 50, 100.0 * i + 40, 90] for i in range(_FOUND)])


def _replicas(workers: int, seconds: float) -> Callable[[Mapping[str, Any]], Any]:
    """As many replicas, which take so long for a picture each."""
    found, free = _some_candidates(), Semaphore(workers)

    def answer(_: Mapping[str, Any]) -> Any:
        with free:
            time.sleep(seconds)
        return found

    return answer


def _real_model() -> Callable[[Mapping[str, Any]], Any]:
    """Grounding DINO Swin-T with random weights, one request at a time as a worker answers them."""
    from benchmarks import detector, machine
    from promptable.config.settings import DetectorSettings
    from promptable.models.cores import openmp
    from promptable.models.grounding_dino.build import SWIN_T
    from promptable.models.grounding_dino.detector import GroundingDINO, use_fast_layers
    from promptable.models.runtime import device
    from promptable.serving.detector.function import DetectorFunction
    from promptable.serving.detector.models import Models

    openmp.prepare()
    with TemporaryDirectory() as folder:
        upstream = detector.random_model(Path(folder)).to(device.resolve("auto"))
    precision = machine.precision()
    ours = GroundingDINO(use_fast_layers(upstream, precision), SWIN_T, precision)
    models = Models(ours, _no_segmenter, device.resolve("auto"), 0.35)
    function = DetectorFunction(models, (_label(),), DetectorSettings())
    lock = Lock()

    def answer(request: Mapping[str, Any]) -> Any:
        with lock:
            return json.loads(function(request))

    answer({"image": base64.b64encode(_picture(99)).decode(), "floor": 0.99})
    return answer


def _label() -> Any:
    from benchmarks.detector import label_names
    from promptable.config.labels import Label, LabelType

    (word,) = label_names(1)
    return Label("rivet", LabelType.RECTANGLE, (word,))


def _no_segmenter() -> Any:
    raise NotImplementedError("boxes need none")


def _picture(seed: int) -> bytes:
    """1080p of noise as a JPEG, some 1 MB."""
    pixels = np.random.default_rng(seed).integers(0, 255, (1080, 1920, 3), np.uint8)
    return _jpeg(Image.fromarray(pixels))


def _small_picture() -> bytes:
    return _jpeg(Image.new("RGB", (640, 480), (90, 120, 90)))


def _jpeg(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=80)
    return packed.getvalue()
