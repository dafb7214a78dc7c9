"""SAM and SAM 2.1 of the real sizes with random weights, as upstream runs them and as the function does."""

from typing import Any, TypeAlias, TypeVar

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from promptable.models.sam import image_encoder as sam_encoder
from promptable.models.sam import segmenter as sam
from promptable.models.sam2 import build as sam2_build
from promptable.models.sam2 import image_encoder as sam2_encoder
from promptable.models.sam2.segmenter import Sam2Segmenter
from promptable.models.segmentation.segmenter import Segmenter

Model: TypeAlias = Sam | SAM2Base
M = TypeVar("M", Sam, SAM2Base)


def random_model(name: str) -> Model:
    """The architecture of an official name."""
    if name in sam.PRESETS:
        return random_sam(sam.PRESETS[name])
    torch.manual_seed(0)
    return _filled(sam2_build.build_architecture(sam2_build.official_config(name)))


def random_sam(config: sam.SamConfig) -> Sam:
    """A SAM of these sizes."""
    torch.manual_seed(0)
    return _filled(sam.build(config))


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


def ours(model: Model, precision: str = "fp32") -> Segmenter:
    """The function's segmenter, which takes the model over."""
    if isinstance(model, Sam):
        sam_encoder.speed_up(model.image_encoder, precision)
        return sam.SamSegmenter(model, precision)
    sam2_encoder.speed_up(model.image_encoder, precision)
    return Sam2Segmenter(model, precision)
