"""What the demo says of corrections: the frames after the worst one, with and without."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from demo.client import Client
from demo.correct import CorrectionResult, correct
from promptable.wire.masks import mask_to_rle
from toy.memory_clips import KINDS, memory_clip
from toy.metrics import mask_iou
from toy.scenes import Scene

CLIP = memory_clip("return", 1).frames
LOST_FROM = 25  # and visible then, after it was away


class OneThatLoses:
    """Answers an object as it is, and as lost from a frame on, unless it was shown again: then for good."""

    def __init__(self, clip: Sequence[Scene]) -> None:
        self._frames = {scene.image.tobytes(): scene for scene in clip}
        self._places = {scene.image.tobytes(): t for t, scene in enumerate(clip)}

    def start_tracking(self, image: Any, shapes: Sequence[Any]) -> list[Any]:
        return ["as begun"] * len(shapes)

    def track(self, image: Any, states: Sequence[Any], corrections: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        (state,) = ["corrected"] if corrections else states
        thing = self._frames[image.tobytes()].objects[0]
        is_lost = not thing.mask.any() or (state == "as begun" and self._places[image.tobytes()] >= LOST_FROM)
        return [None if is_lost else {"type": "mask", "points": mask_to_rle(thing.mask).tolist()}], [state]


def test_a_correction_gains_what_was_lost_after_the_worst_frame() -> None:
    result = CorrectionResult()
    correct(cast(Client, OneThatLoses(CLIP)), CLIP, 0, result)
    assert result.summary() == {"j_rest": 0.0, "j_rest_corrected": 1.0, "gain": 1.0}
    assert len(result.animations[0]) == len(CLIP) - LOST_FROM
    assert len(result.corrected_ious) == len(result.uncorrected_ious) == len(CLIP) - LOST_FROM - 1


@pytest.mark.parametrize("kind", KINDS)
def test_clips_for_memory_begin_and_end_with_all_that_is_followed_elsewhere(kind: str) -> None:
    """And in each of them something is gone for long."""
    clip = memory_clip(kind, 7)
    followed = range(clip.followed)
    first, last = clip.frames[0].objects, clip.frames[-1].objects
    assert all(first[i].mask.mean() > 0.008 < last[i].mask.mean() for i in followed)
    gone = [sum(not scene.objects[i].mask.any() for scene in clip.frames) for i in followed]
    assert max(gone) >= 5
    assert max(mask_iou(first[i].mask, last[i].mask) for i in followed) < 0.5
