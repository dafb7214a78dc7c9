"""SAM 2 models from upstream's own YAML files and weights.

The YAML is data: its ``_target_`` entries may name modules of the ``sam2`` package and nothing else.
"""

from importlib import import_module, resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from sam2.modeling.sam2_base import SAM2Base
from torch import nn
from yaml import YAMLError

from promptable.models.errors import ModelError
from promptable.models.runtime import initialisation
from promptable.models.weights import ModelFiles, load_weights

_OFFICIAL_CONFIGS = MappingProxyType(
    {
        "sam2.1-tiny": "sam2.1_hiera_t.yaml",
        "sam2.1-small": "sam2.1_hiera_s.yaml",
        "sam2.1-base-plus": "sam2.1_hiera_b+.yaml",
        "sam2.1-large": "sam2.1_hiera_l.yaml",
    }
)

# What sam2.build_sam adds to every YAML. Its fill_hole_area is left out: it needs a CUDA extension that is not built,
# and without which upstream skips it too. Only the video path reads binarize_mask_from_pts_for_mem_enc.
_POSTPROCESSING = {
    "binarize_mask_from_pts_for_mem_enc": True,
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
}


def build(files: ModelFiles) -> SAM2Base:
    """The model of ``files`` on the CPU, in eval mode, as ``sam2.build_sam.build_sam2*`` would build it.

    Images and videos share it. Raises ModelError where the configuration is not a SAM 2 model's, or the weights do not
    belong to it.
    """
    with initialisation.left_out():
        model = build_architecture(files.config or official_config(files.name))
    load_weights(model, files)
    return model


def official_config(name: str) -> Path:
    """The YAML that the ``sam2`` package ships for an official name."""
    return Path(str(resources.files("sam2"))) / "configs" / "sam2.1" / _OFFICIAL_CONFIGS[name]


def build_architecture(config: Path) -> SAM2Base:
    """The model that a YAML of upstream's form describes under ``model``, with random weights, in eval mode."""
    model = _instantiate(_settings(config), config)
    if not isinstance(model, SAM2Base):
        raise ModelError(f"{config}: 'model' must describe a SAM2Base, got {type(model).__name__}")
    return model.eval()


def _settings(config: Path) -> Any:
    """What ``config`` says under ``model``, as plain lists and dicts, with upstream's additions."""
    try:
        content = OmegaConf.load(config)
        if not (isinstance(content, DictConfig) and isinstance(content.get("model"), DictConfig)):
            raise ModelError(f"{config}: expected a mapping 'model' at the top level")
        return OmegaConf.to_container(OmegaConf.merge(content.model, _POSTPROCESSING), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ModelError(f"{config} is not a readable configuration: {error}") from error


def _instantiate(node: Any, config: Path) -> Any:
    if isinstance(node, list):
        return [_instantiate(item, config) for item in node]
    if not isinstance(node, dict):
        return node
    arguments = {key: _instantiate(value, config) for key, value in node.items() if key != "_target_"}
    if "_target_" not in node:
        return arguments
    found = _module_class(str(node["_target_"]), config)
    try:
        return found(**arguments)
    except TypeError as error:
        raise ModelError(f"{config}: {found.__name__} cannot be built: {error}") from error


def _module_class(target: str, config: Path) -> type[nn.Module]:
    module, _, name = target.rpartition(".")
    if not module.startswith("sam2."):
        raise ModelError(f"{config}: _target_ {target!r} is refused, only modules of sam2 may be built")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{config}: _target_ {target!r} does not exist") from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(f"{config}: _target_ {target!r} is refused, it is no torch module")
    return found
