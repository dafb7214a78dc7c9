"""``make bench-gpu``: all that a GPU is to show, in one go of under ten minutes.

Each stage four times: upstream in float32, upstream under autocast to bfloat16, the function without CUDA graphs, and
the function with its default settings; and what share of the device's own rate of bfloat16 matrix products that
reaches, by the arithmetic of upstream's networks. Beside it the mean IoU of our masks and those of upstream in float32.
The detector has none: what it finds with random weights hangs on less than bfloat16 resolves, in upstream too;
``tests/gpu`` hold its boxes to a pixel on weights that know something.

Where the time is over, the rest is left out and said so. It runs without a GPU too, on the CPU, to show that it does;
there are no graphs there, and the figures say nothing of a GPU.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import click_models, detector, interactor, tracker
from benchmarks.measure import in_fresh_process, save
from benchmarks.turns import Rounds, in_turn, median_seconds, ratio
from promptable.models.runtime import device
from toy.scenes import scene

_SECONDS = 570.0
_LABELS = 20
_HW = (1080, 1920)
_REPEATS = 5
_SIZE = "1080p"
_WAYS = ("fp32", "bf16", "eager", "ours")
"""Upstream twice, ours without CUDA graphs, and ours as it is by default."""
Call = TypeVar("Call", bound=Callable[[Any], Any])


@dataclass(frozen=True)
class Stage:
    """Median seconds by way, the IoU of our masks with upstream's in float32, the share of the peak; None: unknown.

    ``ratios``: how many times as fast ours is as each of the others.
    """

    what: str
    seconds: Mapping[str, float]
    ratios: Mapping[str, float]
    mask_iou: float | None = None
    peak_share: float | None = None


def run(quick: bool) -> None:
    """Measure the large models; ``quick``: the smallest, and one object."""
    peak = in_fresh_process(_peak)
    print(f"\ngpu, bfloat16 matrix products at {peak / 1e12:.1f} TFLOP/s")
    print(f"{'':36}" + "".join(f"{f'{way} s':>9}" for way in _WAYS) + f"{'ratios':>21}{'IoU':>8}{'of peak':>9}")
    stages: list[Stage] = []
    ends = time.perf_counter() + _SECONDS
    for name, measure in _measurements(quick, peak):
        if time.perf_counter() > ends:
            print(f"{name:36} left out: the time is over", flush=True)
            continue
        for stage in measure():
            print(_line(stage), flush=True)
            stages.append(stage)
        save("gpu", [{"peak_flops": peak}, *(asdict(stage) for stage in stages)])


def _line(stage: Stage) -> str:
    seconds = "".join(f"{each:9.4f}" for each in stage.seconds.values())
    ratios = "".join(f"{each:6.2f}x" for each in stage.ratios.values())
    iou = f"{'':8}" if stage.mask_iou is None else f"{stage.mask_iou:8.4f}"
    share = "" if stage.peak_share is None else f"{stage.peak_share:9.0%}"
    return f"{stage.what:36}{seconds}{ratios}{iou}{share}"


def _measurements(quick: bool, peak: float) -> Iterator[tuple[str, Callable[[], Iterator[Stage]]]]:
    """The most telling first."""
    for model in ["sam2.1-tiny"] if quick else ["vit_h", "sam2.1-large"]:
        yield f"{model}, clicks", partial(_clicks, model, peak)
    yield "Swin-T", partial(_detector, 1 if quick else _LABELS, peak)
    yield "tracker", partial(_tracker, *(("sam2.1-tiny", [1]) if quick else ("sam2.1-large", [1, 10])))


def _clicks(model: str, peak: float) -> Iterator[Stage]:
    plain, ours = partial(interactor.plain_clicks, model, _SIZE), partial(interactor.our_clicks, model, _SIZE, "")
    with in_turn(_ways(plain, ours)) as click:
        clicks = click(interactor.requests(_SIZE, _REPEATS), at_least=2)
    flops = in_fresh_process(_click_flops, model)
    for what, kind in ("first click", interactor.first), ("later clicks", interactor.later):
        calls = {way: kind(calls) for way, calls in clicks.items()}
        iou = interactor.agreement(calls["fp32"], calls["ours"])["mask IoU"]
        share = flops / median_seconds(calls["ours"]) / peak if kind is interactor.first else None
        yield _stage(f"{model}, {what}", calls, iou, share)


def _detector(count: int, peak: float) -> Iterator[Stage]:
    names = dict(zip(_WAYS, ("plain", "plain bf16", "ours", "ours graphs"), strict=True))
    with in_turn({way: partial(detector.detecting, name, (count,)) for way, name in names.items()}) as detect:
        calls = detect([count] * _REPEATS)
    share = in_fresh_process(_detector_flops, count) / median_seconds(calls["ours"]) / peak
    yield _stage(f"Swin-T, {detector.labels(count)}", calls, peak_share=share)


def _tracker(model: str, counts: Sequence[int]) -> Iterator[Stage]:
    plain, ours = partial(tracker.predictor_frames, model, counts), partial(tracker.function_frames, model, counts, "")
    with in_turn(_ways(plain, ours)) as follow:
        for count in counts:
            calls = follow([count] * _REPEATS)
            iou = tracker.agreement(calls["fp32"], calls["ours"])["mask IoU"]
            yield _stage(f"{model}, {tracker.objects(count)}", calls, iou)


def _ways(plain: Callable[[str], Call], ours: Callable[[bool], Call]) -> dict[str, Callable[[], Call]]:
    """Upstream by its precision, ours without and with CUDA graphs."""
    calls = partial(plain, "fp32"), partial(plain, "bf16"), partial(ours, False), partial(ours, True)
    return dict(zip(_WAYS, calls, strict=True))


def _stage(what: str, calls: Rounds[Any], mask_iou: float | None = None, peak_share: float | None = None) -> Stage:
    seconds = {way: median_seconds(calls[way]) for way in _WAYS}
    ratios = {way: ratio(calls[way], calls["ours"]) for way in _WAYS if way != "ours"}
    return Stage(what, seconds, ratios, mask_iou, peak_share)


def _peak() -> float:
    """Operations a second of large bfloat16 matrix products, a product and a sum being two."""
    where = torch.device(device.resolve("auto"))
    side = 8192 if where.type == "cuda" else 2048
    left, right = (torch.randn(side, side, device=where, dtype=torch.bfloat16) for _ in range(2))
    left @ right
    best, repeats = 0.0, 10
    for _ in range(3):
        _synchronise()
        started = time.perf_counter()
        for _ in range(repeats):
            left @ right
        _synchronise()
        best = max(best, repeats * 2 * side**3 / (time.perf_counter() - started))
    return best


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _click_flops(model: str) -> float:
    """Of upstream's image encoder."""
    predictor = click_models.upstream(click_models.random_model(model).to(device.resolve("auto")))
    return _counted(lambda: predictor.set_image(scene(1, size=_HW[1]).image[: _HW[0]]))


def _detector_flops(labels: int) -> float:
    with TemporaryDirectory() as folder:
        detect = detector.plain(Path(folder))
    return _counted(lambda: detect(scene(1, size=_HW[1]).image[: _HW[0]], detector.label_names(labels)))


@torch.no_grad()
def _counted(call: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())
