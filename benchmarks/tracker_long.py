"""A track of many frames through the function on the toy checkpoint: time and memory must stay as they are."""

import json
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil

from benchmarks.measure import Row
from promptable.config.settings import TrackerSettings
from promptable.models.load import load_video_tracker
from promptable.serving.tracker.function import TrackerFunction
from promptable.store.entry_store import InProcessStore
from promptable.wire.masks import mask_to_rle
from toy.png import png_base64
from toy.scenes import video

_TOY = Path(__file__).parents[1] / "toy" / "sam2"
_FRAMES = 1000
_STORE_BYTES = 2**20


def measure() -> Row:
    """An early hundred frames and the last: seconds a frame, megabytes that the process grew, bytes of the state."""
    clip = video(7, leaving=0.0)
    images = [png_base64(scene.image) for scene in (*clip, *clip[-2:0:-1])]  # to and fro
    model = load_video_tracker(str(_TOY), _TOY, "cpu")
    tracker = TrackerFunction(model, InProcessStore(_STORE_BYTES), TrackerSettings())
    shapes = [{"type": "mask", "points": mask_to_rle(clip[0].objects[0].mask).tolist()}]
    states = json.loads(tracker({"image": images[0], "shapes": shapes}))["states"]
    seconds, resident = [], []
    for frame in range(1, _FRAMES + 1):
        started = perf_counter()
        body = {"image": images[frame % len(images)], "shapes": [None], "states": states}
        states = json.loads(tracker(body))["states"]
        seconds.append(perf_counter() - started)
        resident.append(psutil.Process().memory_info().rss / 2**20)
    figures = {
        "frames 100 to 200 ms": 1000 * median(seconds[100:200]),
        "the last 100 ms": 1000 * median(seconds[-100:]),
        "MB grown": max(resident[-100:]) - max(resident[100:200]),
        "state B": len(json.dumps(states[0])),
    }
    return Row(f"toy, {_FRAMES:,} frames", figures)
