"""What is too large for float16 is computed again in float32, on whatever ``cuda`` there is."""

import numpy as np
import pytest
import torch

from promptable.models.load import load_detector, load_segmenter, load_video_tracker
from tests.functions.conftest import TOY
from tests.models.toy_answers import PROMPTS, SCENES, followed, mean_iou, overflow
from toy.scenes import video

LogCapture = pytest.LogCaptureFixture


def assert_a_picture_is_encoded_again(model: str, cuda_graphs: bool, caplog: LogCapture) -> None:
    """By the toy segmenter of this name."""
    segmenter = load_segmenter(str(TOY / model), TOY, "cuda", "fp16", cuda_graphs)
    expected = segmenter.encode_image(SCENES[0].image)
    assert "float32" not in caplog.text
    overflow(segmenter)
    found = segmenter.encode_image(SCENES[0].image)
    assert "computed again in float32" in caplog.text
    assert {tensor.dtype for tensor in found.tensors} == {torch.float32}
    for ours, before in zip(found.tensors, expected.tensors, strict=True):
        torch.testing.assert_close(ours.cpu(), before.cpu(), atol=0.05, rtol=0.05)


def assert_a_picture_is_looked_at_again(caplog: LogCapture) -> None:
    """By the toy detector."""
    detector = load_detector(str(TOY / "grounding-dino"), TOY, "cuda", "fp16")
    expected = detector.detect(SCENES[0].image, PROMPTS)
    assert "float32" not in caplog.text
    overflow(detector)
    found = detector.detect(SCENES[0].image, PROMPTS)
    assert "computed again in float32" in caplog.text
    np.testing.assert_allclose(found.scores.max(0), expected.scores.max(0), atol=0.02)


def assert_a_frame_is_tracked_again(caplog: LogCapture) -> None:
    """By the toy tracker."""
    tracker, clip = load_video_tracker(str(TOY / "sam2"), TOY, "cuda", "fp16"), video(3)[:3]
    expected = followed(tracker, clip)
    assert "float32" not in caplog.text
    overflow(tracker)
    assert mean_iou(followed(tracker, clip), expected) >= 0.98
    assert "computed again in float32" in caplog.text
