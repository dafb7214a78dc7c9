"""What a track loses that starts again from its last box: ``python -m toy.evaluate_restart``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from promptable.config.settings import OnExpired, TrackerSettings
from promptable.models.load import load_video_tracker
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.serving.tracker.function import TrackerFunction
from promptable.store.entry_store import InProcessStore
from promptable.wire.masks import mask_to_rle, rle_to_mask
from toy.metrics import mask_iou
from toy.png import png_base64
from toy.scenes import SIZE, Scene, video

FOLDER = Path(__file__).parent / "sam2"
FIRST_SEED, VIDEOS, RESTART = 30_000_000, 12, 6
LEAST = 0.01  # of the picture, for an object to count in a frame


def main() -> None:
    """Print the mean IoU in the frames from the restart on, without and with one."""
    torch.set_num_threads(1)
    model = load_video_tracker(str(FOLDER), FOLDER, "cpu")
    clips = [video(seed) for seed in range(FIRST_SEED, FIRST_SEED + VIDEOS)]
    for title, last in (("the frame of the restart", RESTART + 1), ("all frames from there on", None)):
        means = [np.mean([_iou(model, clip, restart, last) for clip in clips]) for restart in (None, RESTART)]
        print(f"{title}: uninterrupted {means[0]:.3f}, started again {means[1]:.3f}")


def _iou(model: VideoTracker, clip: Sequence[Scene], restart: int | None, last: int | None) -> float:
    """The mean over the clip's objects and its frames from ``RESTART`` to ``last``."""
    ious = []
    shapes = _followed(model, clip, restart)
    for found, scene in list(zip(shapes, clip[1:], strict=True))[RESTART - 1 : last and last - 1]:
        visible = [i for i, thing in enumerate(scene.objects) if thing.mask.mean() >= LEAST]
        ious += [mask_iou(_mask(found[i]), scene.objects[i].mask) for i in visible]
    return float(np.mean(ious))


def _followed(model: VideoTracker, clip: Sequence[Scene], restart: int | None) -> list[list[Any]]:
    """The answered shapes on each frame after the first; before frame ``restart`` all memory is lost."""
    function = _function(model)
    drawn = [{"type": "mask", "points": mask_to_rle(thing.mask).tolist()} for thing in clip[0].objects]
    states = json.loads(function({"image": png_base64(clip[0].image), "shapes": drawn}))["states"]
    shapes = []
    for number, scene in enumerate(clip[1:], 1):
        function = _function(model) if number == restart else function
        answer = json.loads(function({"image": png_base64(scene.image), "states": states}))
        states = answer["states"]
        shapes.append(answer["shapes"])
    return shapes


def _function(model: VideoTracker) -> TrackerFunction:
    return TrackerFunction(model, InProcessStore(2**30), TrackerSettings(on_expired=OnExpired.RESTART))


def _mask(shape: Any) -> NDArray[np.bool_]:
    return np.zeros((SIZE, SIZE), np.bool_) if shape is None else rle_to_mask(shape["points"], (SIZE, SIZE))


if __name__ == "__main__":
    main()
