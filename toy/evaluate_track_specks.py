"""What cleaned masks mean for a tracker's answers, boxes most of all: ``python -m toy.evaluate_track_specks``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from promptable.models.load import load_video_tracker
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.wire.clean import Cleaning, box_of_parts
from promptable.wire.masks import mask_to_crop, mask_to_xyxy
from toy.evaluate_track_memory import follow
from toy.memory_clips import MemoryClip, clips
from toy.metrics import box_iou, mask_iou

FOLDER = Path(__file__).parent / "sam2"
PER_KIND = 4  # clips
LEAST = 0.01  # of the picture, for an object to count in a frame
LARGEST = Cleaning(largest_part_only=True)
WAYS = {
    "as they are": (Cleaning(), 0.0),
    "boxes around parts of 5% of the largest": (Cleaning(), 0.05),
    "without specks of up to 16 pixels": (Cleaning(remove_specks=16), 0.0),
    "without specks of up to 64 pixels": (Cleaning(remove_specks=64), 0.0),
    "largest part only": (LARGEST, 0.0),
}
"""How masks are cleaned, and the share of the largest part's area that other parts of a box have at least."""

Mask = NDArray[np.bool_]


def main() -> None:
    """Print the mean IoU of boxes and of masks with the truth: over all answers, and over those in several parts."""
    torch.set_num_threads(1)
    model = load_video_tracker(str(FOLDER), FOLDER, "cpu")
    pairs = [pair for clip in track(list(clips(PER_KIND)), "Clips") for pair in _pairs(model, clip)]
    parted = [pair for pair in pairs if (LARGEST.apply(pair[0]) != pair[0]).any()]
    print(f"{len(pairs)} answers, {len(parted)} of them in several parts")
    for title, way in WAYS.items():
        print(f"{title}: boxes, masks {_ious(*way, pairs)}, in several parts {_ious(*way, parted)}")


def _pairs(model: VideoTracker, clip: MemoryClip) -> Iterator[tuple[Mask, Mask]]:
    """Each answered mask and the true one, where both are there."""
    features = [model.encode_image(scene.image) for scene in clip.frames]
    for scene, masks in zip(clip.frames[1:], follow(model, features, clip), strict=True):
        for mask, thing in zip(masks, scene.objects, strict=False):
            if mask.any() and thing.mask.mean() >= LEAST:
                yield mask, thing.mask


def _ious(cleaning: Cleaning, least: float, pairs: Sequence[tuple[Mask, Mask]]) -> str:
    cleaned = [(cleaning.apply(mask), truth) for mask, truth in pairs]
    found = [(box_of_parts(mask_to_crop(mask), least), mask_to_xyxy(truth)) for mask, truth in cleaned]
    boxes = np.mean([box_iou(*pair) for pair in found])
    return f"{boxes:.3f} {np.mean([mask_iou(*pair) for pair in cleaned]):.3f}"


if __name__ == "__main__":
    main()
