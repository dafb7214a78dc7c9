"""A model's name, or its folder, is all that is needed to load it for a task."""

from pathlib import Path

import pytest

from promptable.models.errors import ModelError
from promptable.models.grounding_dino.detector import GroundingDINO
from promptable.models.load import default_threshold, load_detector, load_segmenter, load_video_tracker
from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.sam2.segmenter import Sam2Segmenter
from promptable.models.sam2.video_tracker import VideoTracker
from tests.functions.conftest import TOY


def test_a_folder_is_loaded_by_its_configuration() -> None:
    assert isinstance(load_detector(str(TOY / "grounding-dino"), TOY, "cpu"), GroundingDINO)
    assert isinstance(load_segmenter(str(TOY / "sam"), TOY, "cpu"), SamSegmenter)
    assert isinstance(load_segmenter(str(TOY / "sam2"), TOY, "cpu"), Sam2Segmenter)
    assert isinstance(load_video_tracker(str(TOY / "sam2"), TOY, "cpu"), VideoTracker)


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "grounding-dino"}'])
def test_a_folder_of_another_family_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match=f"{tmp_path}.* is no (JSON|model for detection)"):
        load_detector(str(tmp_path), tmp_path, "cpu")


def test_models_of_other_tasks_are_refused_before_anything_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'vit_b' is no model for detection: expected one of swin-t.*llmdet-large, or a"
    ):
        load_detector("vit_b", tmp_path, "cpu")
    with pytest.raises(ModelError, match="'vit_b' is no model for detection"):
        default_threshold("vit_b", tmp_path)
    with pytest.raises(ValueError, match=r"'swin-t' is no model for segmentation: expected one of vit_b.*sam2\.1"):
        load_segmenter("swin-t", tmp_path, "cpu")
    with pytest.raises(ValueError, match=r"no model for tracking: expected one of sam2\.1-tiny"):
        load_video_tracker(str(TOY / "sam"), tmp_path, "cpu")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sam_vit_b_01ec64\.pth is missing: promptable download vit_b"):
        load_segmenter("vit_b", tmp_path, "cpu")
    with pytest.raises(FileNotFoundError, match="unknown model 'vit_z'"):
        load_segmenter("vit_z", tmp_path, "cpu")
