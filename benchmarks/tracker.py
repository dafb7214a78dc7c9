"""A frame of many objects: the function against upstream's video predictor, and against a plain serverless tracker.

SAM 2.1 tiny of the real size with random weights. Every object has its full memory, 7 frames and 16 pointers, in which
copies of the first frame's stand for later ones: what is timed is one more frame, as it goes on and on in a long video.
A frame of N objects is N requests to the plain serverless tracker, of which the first object's is measured. It runs on
the GPU if there is one, upstream then in bfloat16 too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from unittest.mock import patch

import numpy as np

from benchmarks import machine, tracker_long, tracker_plain, tracker_scene
from benchmarks.measure import Measurement, Row, beside, in_fresh_process, timed
from benchmarks.tracker_scene import Masks
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.sam2.track_memory import TrackMemory
from toy.metrics import mask_iou

_MODEL = "sam2.1-tiny"
"""The large one is in ``benchmarks.large``."""
_COUNTS = (1, 10)
_REPEATS = 2
_FRAMES = 20
"""Of those without the model, which are quick."""


@dataclass(frozen=True)
class Frames:
    """Seconds for a frame, and its masks, by the number of objects; bytes of one object's state and stored memory."""

    seconds: Mapping[int, float]
    masks: Mapping[int, Masks]
    state_bytes: int = 0
    memory_bytes: int = 0


def measurements(quick: bool) -> list[Measurement]:
    """Each way in a process of its own, and a long track; ``quick``: one object of SAM 2.1 tiny."""
    if quick:
        return [_beside_predictor(_MODEL, (1,), machine.precision())]
    return [
        *(_beside_predictor(_MODEL, _COUNTS, precision) for precision in machine.precisions()),
        Measurement(f"{_MODEL}, requests", partial(_against_requests, _MODEL, _COUNTS), rows=len(_COUNTS)),
        Measurement(f"{_MODEL}, a further object", partial(_further_object, _MODEL, _COUNTS)),
        Measurement(f"{_MODEL}, memory rules", partial(_rules, _MODEL)),
        Measurement(f"{_MODEL}, beside the model", partial(_beside_the_model, _MODEL, _COUNTS)),
        Measurement("a long track", lambda: [in_fresh_process(tracker_long.measure)]),
    ]


def _beside_predictor(model: str, counts: Sequence[int], precision: str) -> Measurement:
    rows = partial(_against_predictor, model, counts, precision)
    return Measurement(f"{model}, {precision}, predictor", rows, len(counts))


@cache
def _frames(way: Callable[..., Frames], *arguments: object) -> Frames:
    """Each way once, for all rows that it is in."""
    return in_fresh_process(way, *arguments)


def _against_predictor(model: str, counts: Sequence[int], precision: str) -> list[Row]:
    plain, ours = _frames(predictor_frames, model, counts), _frames(function_frames, model, counts, precision)
    return [
        beside(
            f"{model}, {_objects(count)}, {precision}, predictor",
            plain.seconds[count],
            ours.seconds[count],
            {"mask IoU": agreement(plain.masks[count], ours.masks[count])},
        )
        for count in counts
    ]


def _against_requests(model: str, counts: Sequence[int]) -> list[Row]:
    plain, ours = _frames(_requests, model), _ours(model, counts)
    return [
        beside(
            f"{model}, {_objects(count)}, requests",
            count * plain.seconds[1],
            ours.seconds[count],
            {"mask IoU": agreement(plain.masks[1], ours.masks[count][:1])},
        )
        for count in counts
    ]


def _further_object(model: str, counts: Sequence[int]) -> list[Row]:
    """What the first object of a frame costs, and each of the next; and what travels and stays for an object."""
    plain, ours, many = _frames(_requests, model), _ours(model, counts), max(counts)
    further = (ours.seconds[many] - ours.seconds[1]) / (many - 1)
    seconds = {"first object s": ours.seconds[1], "further object s": further}
    sizes = {"plain state B": plain.state_bytes, "our state B": ours.state_bytes, "memory B": ours.memory_bytes}
    return [Row(f"{model}, what an object costs", seconds | sizes)]


def _ours(model: str, counts: Sequence[int]) -> Frames:
    return _frames(function_frames, model, counts, machine.precision())


def _rules(model: str) -> list[Row]:
    """A frame of one object under each memory rule, their memories full."""
    seconds = {f"{memory} s": in_fresh_process(_one_frame, model, memory) for memory in TrackMemory}
    return [Row(f"{model}, memory rules", seconds)]


def _one_frame(model: str, memory: TrackMemory) -> float:
    keep_freed_memory()
    function = tracker_scene.function(model, memory)
    seconds, _ = timed(partial(function.answer, tracker_scene.continuing(function, 1)), _REPEATS)
    return seconds


def _beside_the_model(model: str, counts: Sequence[int]) -> list[Row]:
    """A frame without the model: what a GPU waits for. The masks are the discs: those of random weights are noise."""
    seconds = {f"{_objects(count)} s": in_fresh_process(_frame_without_model, model, count) for count in counts}
    return [Row(f"{model}, all but the model", seconds)]


def _frame_without_model(model: str, count: int) -> float:
    keep_freed_memory()
    function = tracker_scene.function(model)
    body = tracker_scene.continuing(function, count)
    features, found = tracker_scene.found(function, count)
    with (
        patch.object(function.model, "encode_image", return_value=features),
        patch.object(function.model, "step", return_value=found),
    ):
        seconds, _ = timed(partial(function.answer, body), _FRAMES)
    return seconds


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"


def agreement(theirs: Masks, ours: Masks) -> float:
    """Mean IoU of the masks of the same objects."""
    return float(np.mean([mask_iou(one, other) for one, other in zip(theirs, ours, strict=True)]))


def predictor_frames(model: str, counts: Sequence[int], precision: str = "readme", repeats: int = _REPEATS) -> Frames:
    """Upstream's video predictor."""
    seconds, masks = {}, {}
    predictor = tracker_plain.predictor(model)
    for count in counts:
        state = tracker_plain.remembering(predictor, count)
        seconds[count], masks[count] = timed(partial(tracker_plain.next_frame, predictor, state, precision), repeats)
    return Frames(seconds, masks)


def _requests(model: str) -> Frames:
    handler, body = tracker_plain.handler(model)
    seconds, answer = timed(lambda: handler(body), _REPEATS)
    return Frames({1: seconds}, {1: tracker_scene.masks_of(answer)}, len(answer))


def function_frames(
    model: str, counts: Sequence[int], precision: str = "", cuda_graphs: bool = False, repeats: int = _REPEATS
) -> Frames:
    """The function; ``precision`` is that of ``auto`` unless another is named. While it is timed it finds discs."""
    keep_freed_memory()
    seconds, masks = {}, {}
    function = tracker_scene.function(model, precision=precision, cuda_graphs=cuda_graphs)
    for count in counts:
        body = tracker_scene.continuing(function, count)
        for _ in range(4 if cuda_graphs else 0):  # captured at the fourth frame
            function.answer(body)
        with tracker_scene.finding_discs(function.model, count):
            seconds[count], _ = timed(partial(function.answer, body), repeats)
        masks[count] = tracker_scene.masks_of(function.answer(body))
    return Frames(seconds, masks, *tracker_scene.sizes(function))
