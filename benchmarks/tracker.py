"""A frame of many objects: the function against upstream's video predictor, and against a plain serverless tracker.

SAM 2.1 of the real sizes with random weights. Every object has its full memory, 7 frames and 16 pointers, in which
copies of the first frame's stand for later ones: what is timed is one more frame, as it goes on and on in a long video.
A frame of N objects is N requests to the plain serverless tracker, of which the first object's is measured. It runs on
the GPU if there is one, upstream then in bfloat16 too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import machine, tracker_long, tracker_plain, tracker_scene
from benchmarks.measure import Row, in_fresh_process, report, timed
from benchmarks.tracker_scene import Masks
from demo.metrics import mask_iou
from promptable.models.runtime.cpu import keep_freed_memory
from promptable.models.sam2.track_memory import TrackMemory

_QUICK = ("sam2.1-tiny",)
_ALL = (*_QUICK, "sam2.1-large")
_COUNTS = (1, 5, 10, 20)
_REPEATS = 2


@dataclass(frozen=True)
class Frames:
    """Seconds for a frame, and its masks, by the number of objects; bytes of one object's state and stored memory."""

    seconds: Mapping[int, float]
    masks: Mapping[int, Masks]
    state_bytes: int = 0
    memory_bytes: int = 0


def run(quick: bool) -> None:
    """Measure model by model, each way in a process of its own; then a long track on the toy checkpoint."""
    report("tracker", _rows(_QUICK if quick else _ALL))


def _rows(models: Sequence[str]) -> Iterator[Row]:
    for model in models:
        yield from _compared(model)
    yield in_fresh_process(tracker_long.measure)


def _compared(model: str) -> list[Row]:
    video, ours = in_fresh_process(predictor_frames, model), in_fresh_process(function_frames, model)
    requests = in_fresh_process(_requests, model)
    rows = [] if machine.precision() == "fp32" else _in_float32(model, video)
    for count in _COUNTS:
        agreement = {"mask IoU": _agreement(video.masks[count], ours.masks[count])}
        rows.append(Row(f"{model}, {count} objects, predictor", video.seconds[count], ours.seconds[count], agreement))
    for count in _COUNTS:
        agreement = {"mask IoU": _agreement(requests.masks[1], ours.masks[count][:1])}
        rows.append(
            Row(f"{model}, {count} objects, requests", count * requests.seconds[1], ours.seconds[count], agreement)
        )
    sizes = {"plain state": requests.state_bytes, "our state": ours.state_bytes, "memory": ours.memory_bytes}
    further = _further_object(model, ours, {f"{name} bytes": size for name, size in sizes.items()})
    return [*rows, further, *_rules(model)]


def _in_float32(model: str, video: Frames) -> list[Row]:
    """The function in ``fp32``, where ``auto`` is something else."""
    ours = in_fresh_process(function_frames, model, _COUNTS[:3:2], "fp32")
    return [
        Row(
            f"{model}, {count} objects, predictor, our fp32",
            video.seconds[count],
            seconds,
            {"mask IoU": _agreement(video.masks[count], ours.masks[count])},
        )
        for count, seconds in ours.seconds.items()
    ]


def _rules(model: str) -> list[Row]:
    """A frame of one object under each memory rule beside ``all``, their memories full."""
    everything, *others = (in_fresh_process(_one_frame, model, memory) for memory in TrackMemory)
    names = list(TrackMemory)[1:]
    return [
        Row(f"{model}, memory all beside {name}", everything, other) for name, other in zip(names, others, strict=True)
    ]


def _one_frame(model: str, memory: TrackMemory) -> float:
    keep_freed_memory()
    function = tracker_scene.function(model, memory)
    seconds, _ = timed(partial(function.answer, tracker_scene.continuing(function, 1)), _REPEATS)
    return seconds


def _agreement(theirs: Masks, ours: Masks) -> float:
    return float(np.mean([mask_iou(one, other) for one, other in zip(theirs, ours, strict=True)]))


def _further_object(model: str, ours: Frames, sizes: Mapping[str, float]) -> Row:
    """What the first object of a frame costs, against each of the next nine."""
    each = (ours.seconds[10] - ours.seconds[1]) / 9
    return Row(f"{model}, first object against a further one", ours.seconds[1], each, sizes)


def predictor_frames(model: str, counts: Sequence[int] = _COUNTS, precision: str = "readme") -> Frames:
    """Upstream's video predictor."""
    seconds, masks = {}, {}
    predictor = tracker_plain.predictor(model)
    for count in counts:
        state = tracker_plain.remembering(predictor, count)
        seconds[count], masks[count] = timed(partial(tracker_plain.next_frame, predictor, state, precision), _REPEATS)
    return Frames(seconds, masks)


def _requests(model: str) -> Frames:
    handler, body = tracker_plain.handler(model)
    seconds, answer = timed(lambda: handler(body), _REPEATS)
    return Frames({1: seconds}, {1: tracker_scene.masks_of(answer)}, len(answer))


def function_frames(model: str, counts: Sequence[int] = _COUNTS, precision: str = "") -> Frames:
    """The function; ``precision`` is that of ``auto`` unless another is named."""
    keep_freed_memory()
    seconds, masks = {}, {}
    function = tracker_scene.function(model, precision=precision)
    for count in counts:
        body = tracker_scene.continuing(function, count)
        seconds[count], answer = timed(partial(function.answer, body), _REPEATS)
        masks[count] = tracker_scene.masks_of(answer)
    return Frames(seconds, masks, *tracker_scene.sizes(function))
