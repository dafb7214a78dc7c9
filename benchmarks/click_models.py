"""SAM and SAM 2.1 of the real sizes with random weights, as upstream runs them and as the function does."""

from typing import Any, TypeAlias, TypeVar

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from promptable.models.sam import segmenter as sam
from promptable.models.sam.build import PRESETS, SamConfig, build
from promptable.models.sam2 import segmenter as sam2
from promptable.models.sam2.build import build_architecture, official_config
from promptable.models.segmentation.segmenter import Segmenter

Model: TypeAlias = Sam | SAM2Base
M = TypeVar("M", Sam, SAM2Base)


def random_model(name: str) -> Model:
    """The architecture of an official name."""
    if name in PRESETS:
        return random_sam(PRESETS[name])
    torch.manual_seed(0)
    return _filled(build_architecture(official_config(name)))


def random_sam(config: SamConfig) -> Sam:
    """A SAM of these sizes."""
    torch.manual_seed(0)
    return _filled(build(config))


def _filled(model: M) -> M:
    """The model; what starts as zero, positions above all, is drawn at random too."""
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    return model


def upstream(model: Model) -> Any:
    """Upstream's predictor: ``set_image``, then ``predict``."""
    return SamPredictor(model) if isinstance(model, Sam) else SAM2ImagePredictor(model)


def ours(model: Model, precision: str = "fp32", cuda_graphs: bool = False) -> Segmenter:
    """The function's segmenter, which takes the model over."""
    if isinstance(model, Sam):
        sam.prepare_for_pictures(model, precision)
        return sam.SamSegmenter(model, precision, cuda_graphs)
    sam2.prepare_for_pictures(model, precision)
    return sam2.Sam2Segmenter(model, precision, cuda_graphs)
