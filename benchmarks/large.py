"""The large models: seconds and memory of upstream in float32, and of the function in each precision.

A click on a new 1080p picture and one more on it, 20 labels on a 1080p picture, one more 1080p frame of an object whose
memory is full, as in ``interactor``, ``detector`` and ``tracker``. One model is held at a time, each way in a process
of its own, whose peak includes that the weights were filled with random numbers. On two cores it takes ten minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from benchmarks import detector, interactor, machine, tracker
from benchmarks.measure import Measurement, Row
from benchmarks.turns import Timed, Way, in_turn, median_seconds

_UPSTREAM = "upstream"
_LABELS, _REPEATS = 20, 3
Figures: TypeAlias = Mapping[str, float]
"""Seconds, the most telling first, and the peak."""


def measurements(quick: bool) -> list[Measurement]:
    """Model by model; ``quick``: only clicks with SAM 2.1 large."""
    cases: dict[str, Callable[[str], Figures]] = {
        "sam2.1-large": partial(_clicks, "sam2.1-large"),
        "swin-b": _frame_of_swin_b,
        "sam2.1-large tracker": partial(_frame_of_track, "sam2.1-large"),
        "vit_l": partial(_clicks, "vit_l"),
        "vit_h": partial(_clicks, "vit_h"),
    }
    chosen = list(cases)[:1] if quick else list(cases)
    return [Measurement(name, partial(_rows, name, cases[name]), 1 + len(machine.precisions())) for name in chosen]


def _rows(name: str, measure: Callable[[str], Figures]) -> Iterator[Row]:
    plain = measure(_UPSTREAM)
    yield Row(f"{name}, {_UPSTREAM} fp32", plain)
    for precision in machine.precisions():
        ours = measure(precision)
        yield Row(f"{name}, {precision}", ours, next(iter(plain.values())) / next(iter(ours.values())))


def _clicks(model: str, way: str) -> Figures:
    size = "1080p"
    click = interactor.plain_clicks if way == _UPSTREAM else partial(interactor.our_clicks, precision=way)
    calls = _alone(way, partial(click, model, size), interactor.requests(size), at_least=2)
    first, later = interactor.first(calls), interactor.later(calls)
    return {"first s": median_seconds(first), "later s": median_seconds(later), "peak MB": calls[-1].peak_megabytes}


def _frame_of_swin_b(way: str) -> Figures:
    name = "swin-b plain" if way == _UPSTREAM else f"swin-b ours {way}"
    return _frame(_alone(way, partial(detector.detecting, name), [_LABELS] * _REPEATS))


def _frame_of_track(model: str, way: str) -> Figures:
    follow = tracker.predictor_frames if way == _UPSTREAM else partial(tracker.function_frames, precision=way)
    return _frame(_alone(way, partial(follow, model, (1,)), [1] * _REPEATS))


def _frame(calls: Sequence[Timed[Any]]) -> Figures:
    return {"frame s": median_seconds(calls), "peak MB": calls[-1].peak_megabytes}


def _alone(name: str, way: Way[Any, Any], requests: Iterable[Any], at_least: int = 1) -> Sequence[Timed[Any]]:
    """Three such models at once would not fit the memory of many a machine."""
    with in_turn({name: way}) as call:
        return call(requests, at_least)[name]
