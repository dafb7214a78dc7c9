"""What a replica of each function holds and serves on this machine: on the GPU if there is one, else on the CPU.

The models are those that suit the device, of the real sizes with random weights; the pictures are of 1080p, each a new
one where it says so. Every function runs in a process of its own. Its memory is the most that it ever held: on a GPU
what PyTorch has reserved there, to which CUDA adds a share of its own, on a CPU all of the process.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from benchmarks import click_models, detector, machine, tracker_scene
from benchmarks.click_requests import body
from benchmarks.measure import Measurement, Row, in_fresh_process, peak_megabytes, timed_each
from benchmarks.tracker import objects
from promptable.config.labels import Label, LabelType
from promptable.config.settings import DetectorSettings, InteractorSettings
from promptable.models.catalogue import sam2_model
from promptable.models.grounding_dino.build import SWIN_T
from promptable.models.grounding_dino.detector import GroundingDINO, use_fast_layers
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory
from promptable.serving.detector.function import DetectorFunction
from promptable.serving.detector.models import Models
from promptable.serving.interactor.function import InteractorFunction

_REQUESTS = 4
"""Of which the first warms up: a function remembers its picture, so it is not among those that are timed."""
_OBJECTS = 10
_LABELS = 20
_CLICKS = ((0.5, 0.5), (0.2, 0.3))


def measurements(quick: bool) -> list[Measurement]:
    """Function by function; ``quick``: the interactor alone."""
    interactor = Measurement("sam-interactor", partial(in_fresh_process, _interactor), rows=2)
    others = [
        Measurement("grounding-dino, boxes", partial(in_fresh_process, _boxes)),
        Measurement("grounding-dino, masks", partial(in_fresh_process, _masks)),
        Measurement("sam2-tracker", partial(in_fresh_process, _tracker), rows=2),
    ]
    return [interactor, *([] if quick else others)]


def _interactor() -> list[Row]:
    where, name = _prepared(), sam2_model(device.resolve("auto"))
    function = InteractorFunction(
        click_models.ours(click_models.random_model(name).to(where), machine.precision()), InteractorSettings()
    )
    first = _median(function, [body("1080p", _CLICKS[0], seed=seed) for seed in range(_REQUESTS)])
    later = _median(function, [body("1080p", *_CLICKS)] * _REQUESTS)
    return [
        _served(f"sam-interactor {name}, a new picture", first),
        _served(f"sam-interactor {name}, the next click on it", later),
    ]


def _boxes() -> list[Row]:
    return [_served(f"grounding-dino swin-t, {_LABELS} labels, boxes", _detect(LabelType.RECTANGLE))]


def _masks() -> list[Row]:
    return [_served(f"grounding-dino swin-t, {_LABELS} labels, {_OBJECTS} masks by vit_b", _detect(LabelType.MASK))]


def _detect(kind: LabelType) -> float:
    """Seconds for a new picture. The threshold is 0, so that there are always as many objects as may be answered."""
    where = _prepared()
    with TemporaryDirectory() as folder:
        upstream = detector.random_model(Path(folder)).to(where)
    models = Models(
        GroundingDINO(use_fast_layers(upstream, machine.precision()), SWIN_T, machine.precision()),
        cache(lambda: click_models.ours(click_models.random_model("vit_b").to(where), machine.precision())),
        where,
        threshold=0.0,
    )
    labels = [Label(name, kind, (name,)) for name in detector.label_names(_LABELS)]
    settings = DetectorSettings(max_detections=_OBJECTS)
    function = DetectorFunction(models, labels, settings)
    return _median(function, [body("1080p", _CLICKS[0], seed=seed) for seed in range(_REQUESTS)])


def _tracker() -> list[Row]:
    _prepared()
    name = sam2_model(device.resolve("auto"))
    function = tracker_scene.function(name)
    served = []
    for count in (1, _OBJECTS):
        request = tracker_scene.continuing(function, count)
        seconds = _median(function.answer, [request] * _REQUESTS)
        served.append(_served(f"sam2-tracker {name}, a new frame of {objects(count)}", seconds))
    return served


def _prepared() -> str:
    where = device.resolve("auto")
    if where == "cpu":
        keep_freed_memory()
    return where


def _median(function: Callable[[object], str], requests: Sequence[bytes]) -> float:
    """Median seconds, once the first request has warmed up."""
    first, *others = requests
    function(first)
    return median(timed_each(function, others)[0])


def _served(what: str, seconds: float) -> Row:
    """Megabytes that the function held once it had answered, and the median seconds of an answer."""
    held = torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_available() else peak_megabytes()
    return Row(what, {"MB": held, "s": seconds, "a minute": 60 / seconds})
