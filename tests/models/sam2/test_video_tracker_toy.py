"""The tracker as ``load`` gives it, its layers sped up, against upstream's video predictor on trained weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from safetensors.torch import load_file
from sam2.build_sam import build_sam2_video_predictor
from sam2.sam2_video_predictor import SAM2VideoPredictor

from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_tracker import VideoTracker, load
from promptable.models.segmentation.features import ImageFeatures
from tests.models.sam2 import test_video_tracker
from tests.models.sam2.test_video_tracker import (
    Video,
    follow,
    logit_error,
    mask_error,
    prompts_of,
    upstream,
    written,
)
from toy import scenes
from toy.metrics import mask_iou

TOY = Path(__file__).parents[3] / "toy" / "sam2"
FRAMES = 40


@pytest.fixture(scope="module")
def tracker() -> VideoTracker:
    return load(str(TOY), TOY, "cpu")


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    """Built by upstream from the toy's YAML and weights; its hole filling needs an extension."""
    sam2s_own = get_gh_backup()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(TOY), version_base="1.2"):
        built = build_sam2_video_predictor("config.yaml", device="cpu")
    restore_gh_from_backup(sam2s_own)
    built.fill_hole_area = 0
    built.load_state_dict(load_file(TOY / "model.safetensors"))
    return built


@pytest.fixture(scope="module")
def clip() -> list[scenes.Scene]:
    """Three objects, two of which leave the picture."""
    return scenes.video(30_000_025, frames=FRAMES, leaving=0.5)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, clip: list[scenes.Scene]) -> Video:
    folder = tmp_path_factory.mktemp("toy")
    masks = [thing.mask for thing in clip[0].objects]
    return Video(folder, written(folder, [scene.image for scene in clip]), masks)


def features_of(tracker: VideoTracker, video: Video) -> list[ImageFeatures]:
    return [tracker.encode_image(picture) for picture in video.pictures]


def score_error(ours: Sequence[ObjectResult], theirs: Sequence[ObjectResult]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return max(abs(one.object_score - other.object_score) for one, other in pairs)


Errors = tuple[list[float], list[float], list[float]]
"""Frame by frame the largest of logits, of scores, and the share of pixels that differ."""


def errors(tracker: VideoTracker, predictor: SAM2VideoPredictor, video: Video, kinds: str) -> Errors:
    """How far our track is from upstream's. ``pytest -s`` prints it."""
    prompts = prompts_of(video, kinds)
    ours = follow(tracker, features_of(tracker, video), prompts, together=True)
    theirs = upstream(predictor, video.folder, prompts)
    frames = list(zip(ours, theirs, strict=True))
    logits, scores, pixels = (
        [measure(*frame) for frame in frames] for measure in (logit_error, score_error, mask_error)
    )
    largest = max(float(np.abs(result.low_res_logits).max()) for result in theirs[0])
    differing = max(pixels) * video.masks[0].size
    print(f"{kinds}: logits {max(logits):.1e} of {largest:.0f}, scores {max(scores):.1e}, pixels {differing:.0f}")
    return logits, scores, pixels


@pytest.mark.parametrize("kinds", ["m", "b", "p", "mbpqmb"])
def test_the_whole_track_equals_upstreams(
    tracker: VideoTracker, predictor: SAM2VideoPredictor, video: Video, kinds: str
) -> None:
    """One object, and several in one batch.

    Measured: no pixel of any mask, and of logits up to 29, where a mask's edge is 0, 1.6e-3 with one object and 1.1e-2
    with six. Of scores around 5, 4e-5, and 2e-3 in four frames of one object in six: sums in another order differ in
    the last bits of float32, which now and then flips the bfloat16 rounding of a memory, on one CPU here and on another
    there. The test after this one is without that rounding.
    """
    logits, scores, pixels = errors(tracker, predictor, video, kinds)
    assert max(logits) < 3e-2
    assert np.mean(logits[-13:]) < 5 * np.mean(logits[1:14]), "the error does not grow"
    assert max(scores) < 1e-2
    assert np.median(scores) < 2e-4
    assert max(pixels) * video.masks[0].size <= 4


@pytest.mark.parametrize("kinds", ["m", "mbpqmb"])
def test_without_rounded_memories_it_is_closer(
    tracker: VideoTracker, predictor: SAM2VideoPredictor, video: Video, kinds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both keep them in float32. Measured: 2.4e-4 of logits and 2.1e-5 of scores, the order of sums alone."""
    monkeypatch.setattr(torch, "bfloat16", torch.float32)  # to which upstream converts them
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)  # by which we do
    monkeypatch.setattr(test_video_tracker, "through_bytes", lambda memory: memory)  # their form is bfloat16
    logits, scores, pixels = errors(tracker, predictor, video, kinds)
    assert max(logits) < 2e-3
    assert max(scores) < 2e-4
    assert max(pixels) == 0


def test_the_track_follows_what_is_there_and_loses_what_has_gone(
    tracker: VideoTracker, clip: list[scenes.Scene], video: Video
) -> None:
    """So that the equality above is one of tracks that have content."""
    track = follow(tracker, features_of(tracker, video), prompts_of(video, "mmm"), together=True)
    early = [(r.mask, thing.mask) for i in range(16) for r, thing in zip(track[i], clip[i].objects, strict=True)]
    assert np.mean([mask_iou(*pair) for pair in early]) > 0.9
    gone = [not thing.mask.any() for thing in clip[-1].objects]
    assert sum(gone) == 2
    assert not any(result.mask.any() for result, away in zip(track[-1], gone, strict=True) if away)
