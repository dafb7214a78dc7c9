"""bfloat16 and float16 give nearly the answers of float32, on trained weights; what is too large for float16 too."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from demo.metrics import mask_iou
from promptable.models.grounding_dino.detector import load as load_grounding_dino
from promptable.models.load import load_segmenter, load_video_tracker
from promptable.models.sam2.video_tracker import MaskPrompt, VideoTracker
from promptable.models.segmentation.segmenter import Prompt, Segmenter
from tests.functions.conftest import TOY
from tests.simulated_cuda import simulated_cuda
from toy.scenes import Scene, scene, video

Masks = list[NDArray[np.bool_]]
SCENES = [scene(seed) for seed in range(8)]
PROMPTS = ["red circle", "blue star"]


def _segmenter(model: str, device: str, precision: str) -> Segmenter:
    return load_segmenter(str(TOY / model), TOY, device, precision)


def _masks(segmenter: Segmenter, scenes: Sequence[Scene]) -> Masks:
    """By a box and by a click for every object."""
    found = []
    for drawn in scenes:
        features = segmenter.encode_image(drawn.image)
        for thing in drawn.objects:
            middle = thing.xyxy.reshape(2, 2).mean(0, keepdims=True)
            prompts = Prompt(box_xyxy=thing.xyxy), Prompt(middle, np.ones(1, np.int32))
            found += [segmenter.predict(features, prompt).mask for prompt in prompts]
    return found


def _mean_iou(some: Masks, others: Masks) -> float:
    return float(np.mean([mask_iou(*pair) for pair in zip(some, others, strict=True)]))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_masks_of_half_the_bits(model: str, precision: str) -> None:
    exact = _segmenter(model, "cpu", "fp32")
    rounded = _segmenter(model, "cpu", precision)
    features = rounded.encode_image(SCENES[0].image), exact.encode_image(SCENES[0].image)
    assert not torch.equal(*(each.tensors[-1] for each in features))
    assert _mean_iou(_masks(rounded, SCENES), _masks(exact, SCENES)) >= 0.995


@pytest.fixture
def cuda() -> Iterator[None]:
    with simulated_cuda():
        yield


def _overflow(model: object) -> None:
    """Let an attention's values be 2**20 times as large, which float16 does not have; what comes out is the same."""
    name = "_sam" if hasattr(model, "_sam") else "_model"
    attention = next(layer for layer in vars(model)[name].modules() if hasattr(layer, "qkv"))
    values = len(attention.qkv.weight) * 2 // 3
    with torch.no_grad():
        attention.qkv.weight[values:] *= 2.0**20
        attention.qkv.bias[values:] *= 2.0**20
        attention.proj.weight *= 2.0**-20


@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_a_picture_too_large_for_float16_is_encoded_again(
    cuda: None, model: str, cuda_graphs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    segmenter = load_segmenter(str(TOY / model), TOY, "cuda", "fp16", cuda_graphs)
    expected = segmenter.encode_image(SCENES[0].image)
    assert "float32" not in caplog.text
    _overflow(segmenter)
    found = segmenter.encode_image(SCENES[0].image)
    assert "computed again in float32" in caplog.text
    assert {tensor.dtype for tensor in found.tensors} == {torch.float32}
    for ours, before in zip(found.tensors, expected.tensors, strict=True):
        torch.testing.assert_close(ours.cpu(), before.cpu(), atol=0.05, rtol=0.05)


def test_a_picture_too_large_for_float16_is_looked_at_again(cuda: None, caplog: pytest.LogCaptureFixture) -> None:
    detector = load_grounding_dino(str(TOY / "grounding-dino"), TOY, "cuda", "fp16")
    expected = detector.detect(SCENES[0].image, PROMPTS)
    assert "float32" not in caplog.text
    _overflow(detector)
    found = detector.detect(SCENES[0].image, PROMPTS)
    assert "computed again in float32" in caplog.text
    np.testing.assert_allclose(found.scores.max(0), expected.scores.max(0), atol=0.02)


def _followed(tracker: VideoTracker, clip: Sequence[Scene]) -> Masks:
    """The masks of all objects on all frames after the first."""
    results = tracker.start(tracker.encode_image(clip[0].image), [MaskPrompt(one.mask) for one in clip[0].objects])
    memories = [[result.memory] for result in results]
    masks: Masks = []
    for step, frame in enumerate(clip[1:], 1):
        results = tracker.step(tracker.encode_image(frame.image), [step] * len(memories), memories)
        memories = [tracker.retain([*past, one.memory]) for past, one in zip(memories, results, strict=True)]
        masks += [result.mask for result in results]
    return masks


def test_a_frame_too_large_for_float16_is_tracked_again(cuda: None, caplog: pytest.LogCaptureFixture) -> None:
    tracker = load_video_tracker(str(TOY / "sam2"), TOY, "cuda", "fp16")
    clip = video(3)[:3]
    expected = _followed(tracker, clip)
    assert "float32" not in caplog.text
    _overflow(tracker)
    assert _mean_iou(_followed(tracker, clip), expected) >= 0.98
    assert "computed again in float32" in caplog.text


def test_tracks_of_bfloat16_are_as_good_over_60_frames() -> None:
    """J, the mean IoU with what was drawn, in all frames after the first."""
    clip = video(4, frames=60, leaving=0)
    drawn = [one.mask for frame in clip[1:] for one in frame.objects]
    quality = {
        precision: _mean_iou(_followed(load_video_tracker(str(TOY / "sam2"), TOY, "cpu", precision), clip), drawn)
        for precision in ("fp32", "bf16")
    }
    assert quality["fp32"] > 0.6, quality
    assert abs(quality["bf16"] - quality["fp32"]) <= 0.005, quality


def test_boxes_of_bfloat16_are_nearly_those_of_float32() -> None:
    """Within a pixel of the 1333 that the official models see at most, for whatever is found."""
    exact, rounded = (load_grounding_dino(str(TOY / "grounding-dino"), TOY, "cpu", each) for each in ("fp32", "bf16"))
    for drawn in SCENES:
        expected, found = (detector.detect(drawn.image, PROMPTS) for detector in (exact, rounded))
        assert not np.array_equal(expected.scores, found.scores)
        for box, scores in zip(expected.boxes_xyxy, expected.scores, strict=True):
            if scores.max() >= 0.35:
                apart = np.abs(found.boxes_xyxy - box).max(1) * 1333 / max(drawn.image.shape[:2])
                assert apart.min() < 1
                assert np.abs(found.scores[apart.argmin()] - scores).max() < 0.03


def test_memories_of_other_numbers_are_of_another_model() -> None:
    trackers = [load_video_tracker(str(TOY / "sam2"), TOY, "cpu", precision) for precision in ("fp32", "bf16", "fp16")]
    assert len({tracker.fingerprint for tracker in trackers}) == 3
