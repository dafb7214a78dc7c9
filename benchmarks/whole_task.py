"""How busy a device is while frame after frame of 1080p goes through the detector function.

The device is a stand-in that takes a fixed time for a picture, one at a time, as a GPU does; all else is real:
``promptable serve``, its workers, JSON, base64, decoding, resizing, selection. What counts is the share of the run in
which the device computes: with one request under way, as CVAT's own loop has it, with a second one waiting, as
``promptable annotate`` has it, and with two workers, of which one prepares its picture while the other's is computed.
"""

import base64
import fcntl
import os
import re
import shutil
import time
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from benchmarks.click_requests import jpeg
from benchmarks.measure import Measurement, Row
from promptable.local.options import Options
from promptable.local.server import Running, serve
from promptable.models.detection.detector import PromptScores
from promptable.models.pixels.picture import Picture

_ROOT = Path(__file__).parents[1]
_DEVICE_SECONDS = (0.02, 0.05, 0.2)
_WAYS = ((1, 1), (1, 2), (2, 3))
"""Workers, and requests under way at a time."""
_SECONDS = 6.0
_BOXES = 900


def measurements(quick: bool) -> list[Measurement]:
    """Every device and way; ``quick``: one of 50 ms, without a second request that waits."""
    return [
        Measurement(f"{1000 * seconds:.0f} ms, {workers} workers", partial(_row, seconds, workers, under_way))
        for seconds in ([0.05] if quick else _DEVICE_SECONDS)
        for workers, under_way in (_WAYS[::2] if quick else _WAYS)
    ]


def _row(seconds: float, workers: int, under_way: int) -> list[Row]:
    with _served(workers, seconds) as running:
        rate = _rate(running, under_way)
    what = f"a device of {1000 * seconds:.0f} ms, workers: {workers}, requests under way: {under_way}"
    return [Row(what, {"frames/s": rate, "busy %": 100 * rate * seconds})]


def _rate(running: Running, under_way: int) -> float:
    """Frames a second."""
    running.require_ready()
    ask = partial(_ask, running.url("grounding-dino"), jpeg("1080p"))
    ask(under_way, 0.0)  # warm up
    end = time.perf_counter() + _SECONDS
    with ThreadPoolExecutor(under_way) as pool:
        counts = list(pool.map(lambda number: ask(number, end), range(under_way)))
    return sum(counts) / _SECONDS


def _ask(url: str, data: bytes, number: int, end: float) -> int:
    """The number of answers, at least one. Each request has another picture: only the comment in its JPEG differs."""
    count = 0
    rest = base64.b64encode(data[2:]).decode()
    with httpx.Client(timeout=600) as client:
        while not count or time.perf_counter() < end:
            opening = data[:2] + b"\xff\xfe\x00\x0b" + f"{number:03}{count:06}".encode()
            image = base64.b64encode(opening).decode() + rest
            client.post(url, json={"image": image}).raise_for_status()
            count += 1
    return count


@contextmanager
def _served(workers: int, seconds: float) -> Iterator[Running]:
    with TemporaryDirectory() as folder:
        functions = Path(folder) / "functions"
        shutil.copytree(_ROOT / "functions" / "grounding-dino", functions / "grounding-dino")
        file = functions / "grounding-dino" / "function.yaml"
        file.write_text(re.sub(r"numWorkers: \d+", f"numWorkers: {workers}", file.read_text()))
        (functions / "grounding-dino" / "main.py").write_text("from benchmarks.whole_task import *\n")
        env = {"PYTHONPATH": str(_ROOT), "DEVICE_SECONDS": str(seconds), "DEVICE": f"{folder}/device"}
        options = Options(
            dashboard_port=0, port_base=0, env=env, labels=_ROOT / "toy" / "labels.yaml", log=Path(folder) / "log"
        )
        with serve(functions, ["grounding-dino"], options) as running:
            yield running


def init_context(context: Any) -> None:
    """As the detector's, over the stand-in."""
    import torch

    from promptable.config import labels
    from promptable.config.environment import read
    from promptable.config.settings import DetectorSettings
    from promptable.serving.detector.function import DetectorFunction
    from promptable.serving.detector.models import Models

    torch.set_num_threads(1)
    settings = read(DetectorSettings)
    models = Models(StandIn(), _no_segmenter, "cpu", threshold=0.99)
    deployed = [label for label in labels.deployed(settings.function_config) if label.type == "rectangle"]
    context.user_data.answer = DetectorFunction(models, deployed, settings)


def handler(context: Any, event: Any) -> Any:
    """As every function's."""
    from promptable.serving.respond import respond

    return respond(context, event)


def _no_segmenter() -> Any:
    raise NotImplementedError("boxes need none")


class StandIn:
    """A ``Detector`` that resizes for real, and whose network takes a fixed time on a device that all workers share.

    What a GPU does besides, normalising above all, is not done.
    """

    def spell(self, prompt: str) -> Hashable:
        """Any prompt can be read."""
        return prompt

    def prepare(self, prompts: Sequence[str]) -> None:
        """Nothing is encoded."""

    def detect(self, image: Picture, prompts: Sequence[str], scale: float = 1.0) -> PromptScores:
        """As many boxes as Grounding DINO's, none of them good enough."""
        from promptable.models.grounding_dino.preprocess import resized

        resized(image, round(800 * scale), 1333)
        with Path(os.environ["DEVICE"]).open("w") as device:
            fcntl.flock(device, fcntl.LOCK_EX)
            time.sleep(float(os.environ["DEVICE_SECONDS"]))
        random = np.random.default_rng(0)
        boxes = np.sort(random.uniform(0, 1000, (_BOXES, 4)).astype(np.float32), 1)
        scores = random.uniform(0, 0.5, (_BOXES, len(prompts))).astype(np.float32)
        return PromptScores(boxes, scores, np.zeros(_BOXES, np.int64))
