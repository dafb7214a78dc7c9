"""Three functions on one machine: what each keeps of its rate when the others are called too.

``promptable serve`` runs the functions, and one client for each waits for every answer: later clicks on one picture,
the detector and the tracker (one object) on ever new frames. "plain" is what OpenMP and PyTorch do unless told
otherwise: for every step a thread on each core, which spins while it waits.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import httpx
import numpy as np
import torch

from benchmarks import real_models
from benchmarks.measure import Measurement, Row
from benchmarks.screen import step
from benchmarks.tracker_scene import jpeg
from promptable.local.options import Options
from promptable.local.server import Running, serve
from toy.scenes import scene

_ROOT = Path(__file__).parents[1]
_NAMES = ("sam-interactor", "grounding-dino", "sam2-tracker")
_TOGETHER = (*((name,) for name in _NAMES), _NAMES[:2], _NAMES[::2], _NAMES)
_PLAIN = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "GOMP_SPINCOUNT": "300000"}  # libgomp's own count
_WAYS: Mapping[str, Mapping[str, str]] = {"plain": _PLAIN, "ours": {}}
_SECONDS = {"toy": 3.0, "real": 20.0}

Call = Callable[[], object]
"""One request to a function, which returns with its answer."""
Post = Callable[[Mapping[str, object]], Any]


@dataclass(frozen=True)
class Pace:
    """How one function did for a while: calls a second, and the median and 95th percentile of their milliseconds."""

    rate: float
    p50: float
    p95: float


def measurements(quick: bool) -> list[Measurement]:
    """The toy models and, unless ``quick``, models of the real sizes with random weights."""
    rows, sizes = sum(map(len, _TOGETHER)), {"toy": 1.5} if quick else _SECONDS
    return [Measurement(f"{size} models", partial(_rows, size, seconds), rows) for size, seconds in sizes.items()]


def _rows(size: str, seconds: float) -> Iterator[Row]:
    """The ways take turns, so that a machine that slows down slows both."""
    models = _ROOT / "toy" if size == "toy" else real_models.all_functions()
    with ExitStack() as stack:
        with step("starting the functions"):
            running = {way: stack.enter_context(_served(models, env)) for way, env in _WAYS.items()}
            clients = {way: _clients(served, size) for way, served in running.items()}
        alone: dict[str, tuple[float, float]] = {}
        for together in _TOGETHER:
            with step(", ".join(together)):
                plain, ours = (_measured(seconds, together, clients[way]) for way in _WAYS)
            for name in together:
                rates = alone.setdefault(name, (plain[name].rate, ours[name].rate))
                yield _row(
                    f"{size}, {name}", [each for each in together if each != name], plain[name], ours[name], rates
                )


def _row(what: str, others: Sequence[str], plain: Pace, ours: Pace, alone: tuple[float, float]) -> Row:
    """``alone``: the rates of plain and ours with no others, of which a share is kept."""
    figures = {
        "plain a s": plain.rate,
        "ours a s": ours.rate,
        "plain kept %": 100 * plain.rate / alone[0],
        "ours kept %": 100 * ours.rate / alone[1],
        "plain p95 ms": plain.p95,
        "ours p50 ms": ours.p50,
        "ours p95 ms": ours.p95,
    }
    where = f"beside {' and '.join(others)}" if others else "alone"
    return Row(f"{what} {where}", figures, ours.rate / plain.rate)


def _served(models: Path, env: Mapping[str, str]) -> AbstractContextManager[Running]:
    options = Options(dashboard_port=0, port_base=0, models=models, labels=models / "labels.yaml", env=env)
    return serve(_ROOT / "functions", _NAMES, options)


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


def _measured(seconds: float, together: Sequence[str], clients: Mapping[str, Call]) -> Mapping[str, Pace]:
    """All these functions called for some time, each by a thread of its own.

    A first call by each does not count: how many threads compute it was decided by what ran before.
    """
    first, counted = set(together), set(together)

    def pace(name: str) -> Pace:
        call = clients[name]
        call()
        _go_on(call, name, first)
        measured = _until(perf_counter() + seconds, call)
        _go_on(call, name, counted)
        return measured

    with ThreadPoolExecutor(len(together)) as pool:
        return dict(zip(together, pool.map(pace, together), strict=True))


def _go_on(call: Call, name: str, unfinished: set[str]) -> None:
    """Call until the others have finished too: none of their calls goes on alone."""
    unfinished.discard(name)
    while unfinished:
        call()


def _until(end: float, call: Call) -> Pace:
    """Of the calls until then; the last one ends after ``end``."""
    seconds = []
    while (started := perf_counter()) < end:
        call()
        seconds.append(perf_counter() - started)
    p50, p95 = (1000 * float(part) for part in np.percentile(seconds, [50, 95]))
    return Pace(len(seconds) / sum(seconds), p50, p95)
