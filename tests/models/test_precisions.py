"""bfloat16 and float16 give nearly the answers of float32, on trained weights; what is too large for float16 too."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from promptable.models.grounding_dino.detector import load as load_grounding_dino
from promptable.models.load import load_segmenter, load_video_tracker
from tests.functions.conftest import TOY
from tests.models.toy_answers import PROMPTS, SCENES, assert_nearly_the_boxes, followed, masks, mean_iou, overflow
from tests.simulated_cuda import simulated_cuda
from toy.scenes import video


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_masks_of_half_the_bits(model: str, precision: str) -> None:
    exact, rounded = (load_segmenter(str(TOY / model), TOY, "cpu", each) for each in ("fp32", precision))
    features = rounded.encode_image(SCENES[0].image), exact.encode_image(SCENES[0].image)
    assert not torch.equal(*(each.tensors[-1] for each in features))
    assert mean_iou(masks(rounded, SCENES), masks(exact, SCENES)) >= 0.995


@pytest.fixture
def cuda() -> Iterator[None]:
    with simulated_cuda():
        yield


@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_a_picture_too_large_for_float16_is_encoded_again(
    cuda: None, model: str, cuda_graphs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    segmenter = load_segmenter(str(TOY / model), TOY, "cuda", "fp16", cuda_graphs)
    expected = segmenter.encode_image(SCENES[0].image)
    assert "float32" not in caplog.text
    overflow(segmenter)
    found = segmenter.encode_image(SCENES[0].image)
    assert "computed again in float32" in caplog.text
    assert {tensor.dtype for tensor in found.tensors} == {torch.float32}
    for ours, before in zip(found.tensors, expected.tensors, strict=True):
        torch.testing.assert_close(ours.cpu(), before.cpu(), atol=0.05, rtol=0.05)


def test_a_picture_too_large_for_float16_is_looked_at_again(cuda: None, caplog: pytest.LogCaptureFixture) -> None:
    detector = load_grounding_dino(str(TOY / "grounding-dino"), TOY, "cuda", "fp16")
    expected = detector.detect(SCENES[0].image, PROMPTS)
    assert "float32" not in caplog.text
    overflow(detector)
    found = detector.detect(SCENES[0].image, PROMPTS)
    assert "computed again in float32" in caplog.text
    np.testing.assert_allclose(found.scores.max(0), expected.scores.max(0), atol=0.02)


def test_a_frame_too_large_for_float16_is_tracked_again(cuda: None, caplog: pytest.LogCaptureFixture) -> None:
    tracker = load_video_tracker(str(TOY / "sam2"), TOY, "cuda", "fp16")
    clip = video(3)[:3]
    expected = followed(tracker, clip)
    assert "float32" not in caplog.text
    overflow(tracker)
    assert mean_iou(followed(tracker, clip), expected) >= 0.98
    assert "computed again in float32" in caplog.text


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
