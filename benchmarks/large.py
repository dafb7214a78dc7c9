"""The large models: seconds and memory of upstream in float32, and of the function in each precision.

A click on a new 1080p picture and one more on it, 20 labels on a 1080p picture, one more 1080p frame of an object whose
memory is full, as in ``interactor``, ``detector`` and ``tracker``. One model is held at a time, each way in a process
of its own, whose peak includes that the weights were filled with random numbers. On two cores it takes ten minutes.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeAlias

from benchmarks import machine
from benchmarks.detector import answers
from benchmarks.interactor import our_clicks, plain_clicks
from benchmarks.measure import Measurement, Row, in_fresh_process, peak_megabytes
from benchmarks.tracker import function_frames, predictor_frames

_UPSTREAM = "upstream"
_LABELS, _REPEATS = 20, 3
Seconds: TypeAlias = Mapping[str, float]
"""By what was timed, the most telling first."""


def measurements(quick: bool) -> list[Measurement]:
    """Model by model; ``quick``: only clicks with SAM 2.1 large."""
    cases: dict[str, Callable[[str], Seconds]] = {
        "sam2.1-large": partial(_clicks, "sam2.1-large"),
        "swin-b": _frame_of_swin_b,
        "sam2.1-large tracker": partial(_frame_of_track, "sam2.1-large"),
        "vit_l": partial(_clicks, "vit_l"),
        "vit_h": partial(_clicks, "vit_h"),
    }
    chosen = list(cases)[:1] if quick else list(cases)
    return [Measurement(name, partial(_rows, name, cases[name]), 1 + len(machine.precisions())) for name in chosen]


def _rows(name: str, measure: Callable[[str], Seconds]) -> Iterator[Row]:
    plain, memory = in_fresh_process(_with_peak, measure, _UPSTREAM)
    yield Row(f"{name}, {_UPSTREAM} fp32", {**plain, **memory})
    for precision in machine.precisions():
        ours, memory = in_fresh_process(_with_peak, measure, precision)
        yield Row(f"{name}, {precision}", {**ours, **memory}, next(iter(plain.values())) / next(iter(ours.values())))


def _with_peak(measure: Callable[[str], Seconds], way: str) -> tuple[Seconds, Mapping[str, float]]:
    return measure(way), {"peak MB": peak_megabytes()}


def _clicks(model: str, way: str) -> Seconds:
    clicks = plain_clicks(model, "1080p") if way == _UPSTREAM else our_clicks(model, "1080p", way)
    return {"first s": clicks.first_seconds, "later s": clicks.later_seconds}


def _frame_of_swin_b(way: str) -> Seconds:
    (answer,) = answers("swin-b plain" if way == _UPSTREAM else f"swin-b ours {way}", (_LABELS,), _REPEATS)
    return {"frame s": answer.seconds}


def _frame_of_track(model: str, way: str) -> Seconds:
    frames = predictor_frames(model, (1,)) if way == _UPSTREAM else function_frames(model, (1,), way)
    return {"frame s": frames.seconds[1]}
