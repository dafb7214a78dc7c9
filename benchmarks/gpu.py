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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import click_models, detector, interactor, tracker
from benchmarks.measure import in_fresh_process, save
from benchmarks.tracker import Frames
from promptable.models.runtime import device
from toy.scenes import scene

_SECONDS = 570.0
_LABELS = 20
_HW = (1080, 1920)
_REPEATS = 5
_WAYS = ("fp32", "bf16")
"""Of upstream; the other two are ours."""


@dataclass(frozen=True)
class Stage:
    """Seconds of the four ways, the IoU of ours with the first, the share of the peak that ours has; None: unknown."""

    what: str
    upstream_fp32: float
    upstream_bf16: float
    without_graphs: float
    ours: float
    mask_iou: float | None = None
    peak_share: float | None = None


def run(quick: bool) -> None:
    """Measure the large models; ``quick``: the smallest, and one object."""
    peak = in_fresh_process(_peak)
    print(f"\ngpu, bfloat16 matrix products at {peak / 1e12:.1f} TFLOP/s")
    print(f"{'':36}{'fp32 s':>9}{'bf16 s':>9}{'eager s':>9}{'ours s':>9}{'ratios':>21}{'IoU':>8}{'of peak':>9}")
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
    others = stage.upstream_fp32, stage.upstream_bf16, stage.without_graphs
    seconds = "".join(f"{each:9.4f}" for each in (*others, stage.ours))
    ratios = "".join(f"{each / stage.ours:6.2f}x" for each in others)
    iou = f"{'':8}" if stage.mask_iou is None else f"{stage.mask_iou:8.4f}"
    share = "" if stage.peak_share is None else f"{stage.peak_share:9.0%}"
    return f"{stage.what:36}{seconds}{ratios}{iou}{share}"


def _measurements(quick: bool, peak: float) -> Iterator[tuple[str, Callable[[], Sequence[Stage]]]]:
    """The most telling first."""
    for model in ["sam2.1-tiny"] if quick else ["vit_h", "sam2.1-large"]:
        yield f"{model}, clicks", partial(_clicks, model, peak)
    yield "Swin-T", partial(_detector, 1 if quick else _LABELS, peak)
    yield "tracker", partial(_tracker, *(("sam2.1-tiny", [1]) if quick else ("sam2.1-large", [1, 10])))


def _clicks(model: str, peak: float) -> list[Stage]:
    fp32, bf16 = (in_fresh_process(interactor.plain_clicks, model, "1080p", way) for way in _WAYS)
    eager, ours = (in_fresh_process(interactor.our_clicks, model, "1080p", "", graphs) for graphs in (False, True))
    share = in_fresh_process(_click_flops, model) / ours.first_seconds / peak
    first = fp32.first_seconds, bf16.first_seconds, eager.first_seconds, ours.first_seconds
    later = fp32.later_seconds, bf16.later_seconds, eager.later_seconds, ours.later_seconds
    first_iou = interactor.agreement(fp32.first_logits, ours.first_logits)["mask IoU"]
    later_iou = interactor.agreement(fp32.later_logits, ours.later_logits)["mask IoU"]
    return [
        Stage(f"{model}, first click", *first, first_iou, share),
        Stage(f"{model}, later clicks", *later, later_iou),
    ]


def _detector(labels: int, peak: float) -> list[Stage]:
    fp32, bf16, eager, ours = (
        in_fresh_process(detector.answers, way, (labels,), _REPEATS)[0].seconds
        for way in ("plain", "plain bf16", "ours", "ours graphs")
    )
    share = in_fresh_process(_detector_flops, labels) / ours / peak
    return [Stage(f"Swin-T, {labels} labels", fp32, bf16, eager, ours, peak_share=share)]


def _tracker(model: str, counts: Sequence[int]) -> list[Stage]:
    fp32, bf16 = (in_fresh_process(tracker.predictor_frames, model, counts, way, _REPEATS) for way in _WAYS)
    eager, ours = (
        in_fresh_process(tracker.function_frames, model, counts, "", graphs, _REPEATS) for graphs in (False, True)
    )
    return [_of_objects(model, count, fp32, bf16, eager, ours) for count in counts]


def _of_objects(model: str, count: int, fp32: Frames, bf16: Frames, eager: Frames, ours: Frames) -> Stage:
    seconds = fp32.seconds[count], bf16.seconds[count], eager.seconds[count], ours.seconds[count]
    return Stage(f"{model}, {count} objects", *seconds, tracker.agreement(fp32.masks[count], ours.masks[count]))


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
