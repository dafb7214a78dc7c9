"""A frame of many objects: the function against upstream's video predictor, and against a plain serverless tracker.

SAM 2.1 of the real sizes with random weights. Every object has its full memory, 7 frames and 16 pointers, in which
copies of the first frame's stand for later ones: what is timed is one more frame, as it goes on and on in a long video.
A frame of N objects is N requests to the plain serverless tracker, of which a few are measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks import tracker_long, tracker_plain, tracker_scene
from benchmarks.measure import Row, in_fresh_process, report, timed
from benchmarks.tracker_scene import Masks
from demo.metrics import mask_iou
from promptable.models.cpu import keep_freed_memory

_QUICK = (("sam2.1-tiny", (1, 5, 10, 20)),)
_ALL = (*_QUICK, ("sam2.1-large", (1, 10)))


@dataclass(frozen=True)
class Frames:
    """Seconds for a frame, and its masks, by the number of objects; bytes of one object's state and stored memory."""

    seconds: Mapping[int, float]
    masks: Mapping[int, Masks]
    state_bytes: int = 0
    memory_bytes: int = 0


def run(quick: bool) -> None:
    """Measure model by model, each way in a process of its own; then a long track on the toy checkpoint."""
    rows = [row for model, counts in (_QUICK if quick else _ALL) for row in _compared(model, counts)]
    report("tracker", [*rows, in_fresh_process(tracker_long.measure)])


def _compared(model: str, counts: tuple[int, ...]) -> list[Row]:
    video = in_fresh_process(_video, model, counts)
    request_seconds, plain_bytes = in_fresh_process(_requests, model)
    ours = in_fresh_process(_function, model, counts)
    rows = []
    for count in counts:
        agreement = {"mask IoU": float(np.mean(list(map(mask_iou, video.masks[count], ours.masks[count]))))}
        rows.append(Row(f"{model}, {count} objects, predictor", video.seconds[count], ours.seconds[count], agreement))
    rows += [Row(f"{model}, {n} objects, requests", n * request_seconds, ours.seconds[n]) for n in counts]
    sizes = {"plain state bytes": plain_bytes, "our state bytes": ours.state_bytes, "entry bytes": ours.memory_bytes}
    return [*rows, _further_object(model, ours, sizes)]


def _further_object(model: str, ours: Frames, sizes: Mapping[str, float]) -> Row:
    """What the first object of a frame costs, against each of the next nine."""
    each = (ours.seconds[10] - ours.seconds[1]) / 9
    return Row(f"{model}, first object against a further one", ours.seconds[1], each, sizes)


def _repeats(count: int) -> int:
    """The first count, a single object, also warms up; many objects are an average in themselves."""
    return 3 if count == 1 else 1


def _video(model: str, counts: tuple[int, ...]) -> Frames:
    seconds, masks = {}, {}
    predictor = tracker_plain.predictor(model)
    for count in counts:
        state = tracker_plain.remembering(predictor, count)
        seconds[count], masks[count] = timed(
            lambda state=state: tracker_plain.next_frame(predictor, state), _repeats(count)
        )
    return Frames(seconds, masks)


def _requests(model: str) -> tuple[float, int]:
    handler, body = tracker_plain.handler(model)
    handler(body)
    seconds, answer = timed(lambda: handler(body), repeats=3)
    return seconds, len(answer)


def _function(model: str, counts: tuple[int, ...]) -> Frames:
    keep_freed_memory()
    seconds, masks = {}, {}
    function = tracker_scene.function(model)
    for count in counts:
        body = tracker_scene.continuing(function, count)
        seconds[count], answer = timed(lambda body=body: function.answer(body), _repeats(count))
        masks[count] = tracker_scene.masks_of(answer)
    return Frames(seconds, masks, *tracker_scene.sizes(function))
