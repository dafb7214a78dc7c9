"""SAM 2 models from YAML: upstream's own settings, and errors that say what is wrong with a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from sam2.build_sam import build_sam2, build_sam2_video_predictor

from promptable.models.sam2.build import build, build_architecture, official_config
from promptable.models.weights import ModelFiles

TOY_CONFIG = Path(__file__).parents[3] / "toy" / "sam2" / "config.yaml"
NAMES = ("sam2.1-tiny", "sam2.1-small", "sam2.1-base-plus", "sam2.1-large")
Change = Callable[[Any], None]


def changed(folder: Path, change: Change) -> Path:
    """The toy configuration after ``change``, which edits it in place."""
    config = OmegaConf.load(TOY_CONFIG)
    change(config)
    file = folder / "config.yaml"
    OmegaConf.save(config, file)
    return file


def plain_attributes(model: torch.nn.Module) -> dict[str, object]:
    """Every number, flag and text that any of the model's modules holds, by its path."""
    return {
        f"{path}.{name}": value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
    }


def test_the_model_is_that_of_upstreams_builders() -> None:
    ours = build_architecture(official_config("sam2.1-tiny"))
    config = "configs/sam2.1/sam2.1_hiera_t.yaml"
    image, video = build_sam2(config, device="cpu"), build_sam2_video_predictor(config, device="cpu")
    shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in image.state_dict().items()}
    video_only = {".fill_hole_area", ".non_overlap_masks", ".clear_non_cond_mem_around_input"}
    video_only |= {".add_all_frames_to_correct_as_cond"}
    ours_attributes, video_attributes = plain_attributes(ours), plain_attributes(video)
    assert ours_attributes == {key: value for key, value in video_attributes.items() if key not in video_only}
    differing = {key for key, value in plain_attributes(image).items() if ours_attributes[key] != value}
    assert differing == {".binarize_mask_from_pts_for_mem_enc"}, "which the image predictor never reads"


@pytest.mark.parametrize("name", NAMES)
def test_every_official_name_has_its_yaml(name: str) -> None:
    content = OmegaConf.load(official_config(name))
    widths = {"sam2.1-tiny": 96, "sam2.1-small": 96, "sam2.1-base-plus": 112, "sam2.1-large": 144}
    trunk = content.model.image_encoder.trunk
    assert trunk.get("embed_dim", 96) == widths[name]
    assert content.model.image_size == 1024


def test_a_folder_gives_its_weights_in_eval_mode(tmp_path: Path) -> None:
    source = build_architecture(TOY_CONFIG)
    weights = tmp_path / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in source.state_dict().items()}, weights)
    model = build(ModelFiles("toy", tmp_path, weights, None, TOY_CONFIG))
    assert not any(module.training for module in model.modules())
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, source.state_dict()[name].half().float()), name


def test_missing_weights_are_named(tmp_path: Path) -> None:
    state = dict(build_architecture(TOY_CONFIG).state_dict())
    state["surplus"] = state.pop("no_mem_embed")
    weights = tmp_path / "model.safetensors"
    save_file(state, weights)
    with pytest.raises(ValueError, match=r"does not fit its configuration(.|\n)*no_mem_embed(.|\n)*surplus"):
        build(ModelFiles("toy", tmp_path, weights, None, TOY_CONFIG))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "sam2x.evil.Model",
        "torch.nn.Linear",
        "sam2",
        "sam2.build_sam.build_sam2",
        "sam2.build_sam.os.system",
        "sam2.modeling.sam2_base.torch.load",
        "sam2.modeling.sam2_base.Nothing",
        "${oc.env:HOME}",
    ],
)
def test_a_target_that_is_no_module_of_sam2_is_refused(tmp_path: Path, target: str) -> None:
    def replace(config: Any) -> None:
        config.model.image_encoder.neck.position_encoding._target_ = target

    with pytest.raises(ValueError, match=r"_target_"):
        build_architecture(changed(tmp_path, replace))


def test_a_foreign_target_is_refused_before_anything_runs(tmp_path: Path) -> None:
    witness = tmp_path / "witness"

    def replace(config: Any) -> None:
        config.model.memory_encoder = {"_target_": "pathlib.Path.touch", "self": str(witness)}

    with pytest.raises(ValueError, match=r"'pathlib.Path.touch' is refused"):
        build_architecture(changed(tmp_path, replace))
    assert not witness.exists()


def test_unknown_and_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"SAM2Base.*'colour'"):
        build_architecture(changed(tmp_path, lambda config: config.model.update(colour="red")))
    with pytest.raises(ValueError, match=r"SAM2Base.*memory_encoder"):
        build_architecture(changed(tmp_path, lambda config: config.model.pop("memory_encoder")))


def test_a_part_is_not_a_model(tmp_path: Path) -> None:
    def replace(config: Any) -> None:
        config.model = config.model.image_encoder

    with pytest.raises(ValueError, match=r"config.yaml"):
        build_architecture(changed(tmp_path, replace))


@pytest.mark.parametrize("text", ["", "[1, 2]", "sizes: {}", "model: 3", "model: [1]", "model: {", "just words"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"config.yaml"):
        build_architecture(file)
