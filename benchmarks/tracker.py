"""A frame of many objects: the function against upstream's video predictor, and against a plain serverless tracker.

SAM 2.1 tiny of the real size with random weights. Every object has its full memory, 7 frames and 16 pointers, in which
copies of the first frame's stand for later ones: what is timed is one more frame, as it goes on and on in a long video,
from its JPEG on.
A frame of N objects is N requests to the plain serverless tracker, of which the first object's is measured. It runs on
the GPU if there is one, upstream then in bfloat16 too.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias
from unittest.mock import patch

import numpy as np

from benchmarks import machine, tracker_long, tracker_plain, tracker_scene
from benchmarks.measure import Measurement, Row, beside, in_fresh_process, timed
from benchmarks.tracker_scene import Masks
from benchmarks.turns import Timed, in_turn, median_seconds, paired
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.sam2.track_memory import TrackMemory
from toy.metrics import mask_iou

_MODEL = "sam2.1-tiny"
"""The large one is in ``benchmarks.large``."""
_COUNTS = (1, 10)
_REPEATS = 3
_UNTIL_CAPTURED = 4
"""Frames until CUDA graphs are there."""
_FRAMES = 20
"""Of those without the model, which are quick."""
Follow: TypeAlias = Callable[[int], Masks]
"""One more frame of so many objects."""


def measurements(quick: bool) -> list[Measurement]:
    """One more frame, what an object costs, and a long track; ``quick``: one object."""
    counts, precisions = (_COUNTS[:1] if quick else _COUNTS), machine.precisions(quick)
    rows = len(counts) * len(precisions)
    against_predictor = Measurement("predictor", partial(_against_predictor, counts, precisions), rows)
    if quick:
        return [against_predictor]
    return [
        against_predictor,
        Measurement("requests", _against_requests, rows=len(_COUNTS) + 1),
        Measurement("memory rules", partial(_rules, _MODEL)),
        Measurement("beside the model", partial(_beside_the_model, _MODEL, _COUNTS)),
        Measurement("a long track", lambda: [in_fresh_process(tracker_long.measure)]),
    ]


def _against_predictor(counts: Sequence[int], precisions: Sequence[str]) -> Iterator[Row]:
    ways = {"plain": partial(predictor_frames, _MODEL, counts)} | {
        precision: partial(function_frames, _MODEL, counts, precision) for precision in precisions
    }
    with in_turn(ways) as follow:
        for count in counts:
            frames = follow([count] * _REPEATS)
            for precision in precisions:
                what = f"{_MODEL}, {objects(count)}, {precision}, predictor"
                yield paired(what, frames["plain"], frames[precision], agreement(frames["plain"], frames[precision]))


def _against_requests() -> Iterator[Row]:
    """A frame of each object by itself; what the first object costs, and each of the next; what travels and stays."""
    ways = {"plain": partial(_request_frames, _MODEL), "ours": partial(function_frames, _MODEL, _COUNTS)}
    with in_turn(ways) as follow:
        frames = {count: follow([count] * _REPEATS) for count in _COUNTS}
    seconds = {count: median_seconds(each["ours"]) for count, each in frames.items()}
    for count in _COUNTS:
        plain, ours = frames[count]["plain"], frames[count]["ours"]
        what = f"{_MODEL}, {objects(count)}, requests"
        yield beside(what, count * median_seconds(plain), seconds[count], agreement(plain, ours))
    one, many = _COUNTS
    further = (seconds[many] - seconds[one]) / (many - one)
    sizes = in_fresh_process(_sizes, _MODEL)
    yield Row(f"{_MODEL}, what an object costs", {"first object s": seconds[one], "further object s": further} | sizes)


def _sizes(model: str) -> dict[str, float]:
    """Bytes of one object's state in either way, and of what one step of it adds to our store."""
    handler, body = tracker_plain.handler(model)
    state_bytes, memory_bytes = tracker_scene.sizes(tracker_scene.function(model))
    return {"plain state B": len(handler(body)), "our state B": state_bytes, "memory B": memory_bytes}


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
    seconds = {f"{objects(count)} s": in_fresh_process(_frame_without_model, model, count) for count in counts}
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


def objects(count: int) -> str:
    """So many, in words."""
    return "1 object" if count == 1 else f"{count} objects"


def agreement(plain: Sequence[Timed[Masks]], ours: Sequence[Timed[Masks]]) -> dict[str, float]:
    """Mean IoU of the masks of the objects that both followed."""
    pairs = zip(plain[0].result, ours[0].result, strict=False)
    return {"mask IoU": float(np.mean([mask_iou(one, other) for one, other in pairs]))}


def predictor_frames(model: str, counts: Sequence[int], precision: str = "readme") -> Follow:
    """Upstream's video predictor."""
    predictor = tracker_plain.predictor(model)
    states = {count: tracker_plain.remembering(predictor, count) for count in counts}
    return lambda count: tracker_plain.next_frame(predictor, states[count], precision)


def _request_frames(model: str) -> Follow:
    """A plain serverless tracker, always of one object."""
    handler, body = tracker_plain.handler(model)
    return lambda _: tracker_scene.masks_of(handler(body))


def function_frames(model: str, counts: Sequence[int], precision: str = "", cuda_graphs: bool = False) -> Follow:
    """The function; ``precision`` is that of ``auto`` unless another is named. It answers discs for what it found."""
    keep_freed_memory()
    function = tracker_scene.function(model, precision=precision, cuda_graphs=cuda_graphs)
    bodies = {count: tracker_scene.continuing(function, count) for count in counts}

    def follow(count: int) -> Masks:
        with tracker_scene.answering_discs(function.model, count) as found:
            function.answer(bodies[count])
        return found

    for count in counts:
        for _ in range(_UNTIL_CAPTURED if cuda_graphs else 1):
            follow(count)
    return follow
