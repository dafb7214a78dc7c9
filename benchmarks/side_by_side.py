"""Three functions on one machine: what each keeps of its rate when the others are called too.

``promptable serve`` runs the functions, and one client for each waits for every answer: later clicks on one picture,
the detector and the tracker (one object) on ever new frames. "plain" is what OpenMP and PyTorch do unless told
otherwise: for every step a thread on each core, which spins while it waits.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import httpx
import numpy as np
import torch

from benchmarks.measure import save
from benchmarks.real_models import write_models
from benchmarks.tracker_scene import jpeg
from promptable.local.options import Options
from promptable.local.server import Running, serve
from toy.scenes import scene

_ROOT = Path(__file__).parents[1]
_NAMES = ("sam-interactor", "grounding-dino", "sam2-tracker")
_TOGETHER = (*((name,) for name in _NAMES), _NAMES[:2], _NAMES[::2], _NAMES)
_PLAIN = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "GOMP_SPINCOUNT": "300000"}  # libgomp's own count
_WAYS: Mapping[str, Mapping[str, str]] = {"plain": _PLAIN, "ours": {}}
_SECONDS = {"toy": 3.0, "real": 30.0}

Call = Callable[[], object]
"""One request to a function, which returns with its answer."""
Post = Callable[[Mapping[str, object]], Any]


@dataclass(frozen=True)
class Pace:
    """How one function did beside the others: calls a second, and the median and 95th percentile of their seconds."""

    size: str
    way: str
    beside: tuple[str, ...]
    function: str
    rate: float
    p50: float
    p95: float


def run(quick: bool) -> None:
    """Measure the toy models and, unless ``quick``, models of the real sizes with random weights."""
    paces = list(_paces("toy", _ROOT / "toy"))
    if not quick:
        with TemporaryDirectory() as folder:
            write_models(Path(folder))
            paces += _paces("real", Path(folder))
    save("side_by_side", [asdict(pace) for pace in paces])


def _paces(size: str, models: Path) -> Iterator[Pace]:
    """Print and give every measurement. The ways take turns, so that a machine that slows down slows both."""
    print(f"\nside by side, {size} models: a second, p50 ms, p95 ms, and the share of the rate alone\n")
    with ExitStack() as stack:
        running = {way: stack.enter_context(_served(models, env)) for way, env in _WAYS.items()}
        clients = {way: _clients(served, size) for way, served in running.items()}
        alone: dict[tuple[str, str], float] = {}
        for together in _TOGETHER:
            for way in _WAYS:
                for pace in _measure(size, way, together, clients[way]):
                    share = pace.rate / alone.setdefault((way, pace.function), pace.rate)
                    _print(pace, share)
                    yield pace


def _served(models: Path, env: Mapping[str, str]) -> AbstractContextManager[Running]:
    options = Options(dashboard_port=0, port_base=0, models=models, labels=models / "labels.yaml", env=env)
    return serve(_ROOT / "functions", _NAMES, options)


def _print(pace: Pace, share: float) -> None:
    others = ", ".join(name for name in pace.beside if name != pace.function) or "alone"
    figures = f"{pace.rate:8.2f}{1000 * pace.p50:9.1f}{1000 * pace.p95:9.1f}{share:7.0%}"
    print(f"{pace.way:6}{pace.function:15}{figures}  {others}", flush=True)


def _clients(running: Running, size: str) -> Mapping[str, Call]:
    """For each function a call that is another one each time, once the function has answered its first."""
    running.require_ready()
    clients = {}
    for name, calls in zip(_NAMES, (_clicks, _frames, _track), strict=True):
        post = partial(_post, httpx.Client(timeout=600), running.url(name))
        clients[name] = calls(post, _pictures(_jpeg(size)))
        clients[name]()
    return clients


def _post(client: httpx.Client, url: str, body: Mapping[str, object]) -> Any:
    return client.post(url, json=body).raise_for_status().json()


def _clicks(post: Post, pictures: Iterator[str]) -> Call:
    random, image = np.random.default_rng(0), next(pictures)

    def click() -> object:
        point = random.uniform(10, 180, 2).round(1).tolist()
        return post({"image": image, "pos_points": [point], "neg_points": [], "obj_bbox": None})

    return click


def _frames(post: Post, pictures: Iterator[str]) -> Call:
    return lambda: post({"image": next(pictures)})


def _track(post: Post, pictures: Iterator[str]) -> Call:
    box = {"type": "rectangle", "points": [60, 60, 130, 130]}
    states = [*post({"image": next(pictures), "shapes": [box], "states": []})["states"]]

    def follow() -> None:
        states[:] = post({"image": next(pictures), "shapes": [None], "states": states})["states"]

    return follow


def _jpeg(size: str) -> bytes:
    return jpeg(1) if size == "real" else cv2.imencode(".jpg", scene(1).image[..., ::-1])[1].tobytes()


def _pictures(data: bytes) -> Iterator[str]:
    """One picture in base64, each time with another comment: new bytes, which no cache knows."""
    rest = base64.b64encode(data[2:]).decode()
    for number in count():
        opening = data[:2] + b"\xff\xfe\x00\x0b" + f"{number:09}".encode()  # 15 bytes in all: 20 letters
        yield base64.b64encode(opening).decode() + rest


def _measure(size: str, way: str, together: Sequence[str], clients: Mapping[str, Call]) -> list[Pace]:
    """All these functions called for some time, each by a thread of its own."""
    end = perf_counter() + _SECONDS[size]
    with ThreadPoolExecutor(len(together)) as pool:
        taken = list(pool.map(lambda name: _until(end, clients[name]), together))
    return [_pace(size, way, tuple(together), name, seconds) for name, seconds in zip(together, taken, strict=True)]


def _until(end: float, call: Call) -> list[float]:
    """Seconds of each call, of which the last one ends after ``end``."""
    seconds = []
    while (started := perf_counter()) < end:
        call()
        seconds.append(perf_counter() - started)
    return seconds


def _pace(size: str, way: str, together: tuple[str, ...], name: str, seconds: Sequence[float]) -> Pace:
    p50, p95 = np.percentile(seconds, [50, 95])
    return Pace(size, way, together, name, len(seconds) / sum(seconds), float(p50), float(p95))
