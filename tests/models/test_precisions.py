"""bfloat16 and float16 give nearly the answers of float32, on trained weights; what is too large for float16 too."""

import numpy as np
import pytest
import torch

from promptable.models.grounding_dino.detector import load as load_grounding_dino
from promptable.models.load import load_segmenter, load_video_tracker
from tests.functions.conftest import TOY
from tests.models.overflows import (
    assert_a_frame_is_tracked_again,
    assert_a_picture_is_encoded_again,
    assert_a_picture_is_looked_at_again,
)
from tests.models.toy_answers import PROMPTS, SCENES, assert_nearly_the_boxes, followed, masks, mean_iou
from toy.scenes import video


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_masks_of_half_the_bits(model: str, precision: str) -> None:
    exact, rounded = (load_segmenter(str(TOY / model), TOY, "cpu", each) for each in ("fp32", precision))
    features = rounded.encode_image(SCENES[0].image), exact.encode_image(SCENES[0].image)
    assert not torch.equal(*(each.tensors[-1] for each in features))
    assert mean_iou(masks(rounded, SCENES), masks(exact, SCENES)) >= 0.995


@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_a_picture_too_large_for_float16_is_encoded_again(
    cuda: torch.device, model: str, cuda_graphs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert_a_picture_is_encoded_again(model, cuda_graphs, caplog)


def test_a_picture_too_large_for_float16_is_looked_at_again(
    cuda: torch.device, caplog: pytest.LogCaptureFixture
) -> None:
    assert_a_picture_is_looked_at_again(caplog)


def test_a_frame_too_large_for_float16_is_tracked_again(cuda: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    assert_a_frame_is_tracked_again(caplog)


def test_tracks_of_bfloat16_are_as_good_over_60_frames() -> None:
    """J, the mean IoU with what was drawn, in all frames after the first."""
    clip = video(4, frames=60, leaving=0)
    drawn = [one.mask for frame in clip[1:] for one in frame.objects]
    quality = {
        precision: mean_iou(followed(load_video_tracker(str(TOY / "sam2"), TOY, "cpu", precision), clip), drawn)
        for precision in ("fp32", "bf16")
    }
    assert quality["fp32"] > 0.6, quality
    assert abs(quality["bf16"] - quality["fp32"]) <= 0.005, quality


def test_boxes_of_bfloat16_are_nearly_those_of_float32() -> None:
    exact, rounded = (load_grounding_dino(str(TOY / "grounding-dino"), TOY, "cpu", each) for each in ("fp32", "bf16"))
    for drawn in SCENES:
        expected, found = (detector.detect(drawn.image, PROMPTS) for detector in (exact, rounded))
        assert not np.array_equal(expected.scores, found.scores)
        assert_nearly_the_boxes(found, expected, drawn.image.shape[:2])


def test_memories_of_other_numbers_are_of_another_model() -> None:
    trackers = [load_video_tracker(str(TOY / "sam2"), TOY, "cpu", precision) for precision in ("fp32", "bf16", "fp16")]
    assert len({tracker.fingerprint for tracker in trackers}) == 3
