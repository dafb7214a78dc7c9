"""Segment Anything (https://github.com/facebookresearch/segment-anything): clicks and boxes on a picture become masks.

The masks are those of upstream's ``SamPredictor`` on the same weights.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from segment_anything.modeling import Sam
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from promptable.models.pixels.picture import Picture
from promptable.models.pixels.resize import resize
from promptable.models.runtime import initialisation
from promptable.models.runtime.precision import autocast
from promptable.models.sam.build import PRESETS, SamConfig, build
from promptable.models.sam.image_encoder import fuse_encoder
from promptable.models.sam.prompt_encoder import embed_points
from promptable.models.segmentation.base import BaseSegmenter, Embeddings, Given
from promptable.models.segmentation.mask_decoder import fuse_decoder
from promptable.models.segmentation.segmenter import PictureError, Prompt
from promptable.models.weights import load_weights, locate, read_sizes


def load(
    model: str, weights_dir: Path, device: str, precision: str = "fp32", cuda_graphs: bool = False
) -> "SamSegmenter":
    """The segmenter of an official name (``vit_b``, ``vit_l``, ``vit_h``) or of a folder; see ``weights.locate``.

    Raises FileNotFoundError where a file is missing, ModelError where they do not fit together.
    """
    files = locate(model, weights_dir)
    config = PRESETS[files.name] if files.config is None else read_sizes(SamConfig, files.config)
    with initialisation.left_out():
        sam = build(config)
    load_weights(sam, files)
    prepare_for_pictures(sam.to(device), precision)
    return SamSegmenter(sam, precision, cuda_graphs)


def prepare_for_pictures(sam: Sam, precision: str = "fp32") -> None:
    """Give a model in evaluation mode, on the device where it stays, faster layers of the same meaning."""
    fuse_encoder(sam.image_encoder, precision)
    fuse_decoder(sam.mask_decoder, sam.prompt_encoder, LayerNorm2d, torch.float32)


class SamSegmenter(BaseSegmenter):
    """SAM as a ``Segmenter``. A picture's features are one tensor, [1, C, h, w]."""

    def __init__(self, sam: Sam, precision: str = "fp32", cuda_graphs: bool = False) -> None:
        super().__init__(sam.prompt_encoder, sam.device, precision, cuda_graphs)
        self._sam = sam
        self._transform = ResizeLongestSide(sam.image_encoder.img_size)

    def _encode(self, image: Picture, precision: str) -> tuple[Tensor, ...]:
        """The picture is resized as ``SamPredictor.set_image`` does; one that would vanish raises PictureError."""
        hw = (image.shape[0], image.shape[1])
        if 0 in self._input_hw(hw):
            raise PictureError(f"too narrow for the model, {hw[1]} x {hw[0]} pixels")
        resized = resize(image, self._input_hw(hw), Resampling.BILINEAR, self._device)
        pixels = self._sam.preprocess(resized.permute(2, 0, 1).contiguous()[None])
        with autocast(self._device, precision):
            return self._encoder(pixels)

    def _run_encoder(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return (self._sam.image_encoder(pixels),)

    def _given(self, prompt: Prompt, hw: tuple[int, int]) -> Given:
        """Points [1, P, 2] with labels [1, P] and boxes [1, 4], in pixels of the resized picture."""
        box = None if prompt.box_xyxy is None else self._transform.apply_boxes(prompt.box_xyxy, hw)
        points, labels = self._points(prompt, hw)
        return {"points": points, "labels": labels, "boxes": box}

    def _given_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Given:
        return {"boxes": self._transform.apply_boxes(boxes_xyxy, hw)}

    def _embed(self, given: Mapping[str, Tensor]) -> Embeddings:
        boxes = given.get("boxes")
        sparse, dense = self._prompt_encoder(None, boxes, given.get("masks"))
        if "points" not in given:
            return sparse, dense
        clicks = embed_points(self._prompt_encoder, given["points"], given["labels"], pad=boxes is None)
        return torch.cat([clicks, sparse], 1), dense

    def _decode(self, sparse: Tensor, dense: Tensor, *features: Tensor, multimask: bool) -> tuple[Tensor, Tensor]:
        (embedding,) = features
        candidates: tuple[Tensor, Tensor] = self._sam.mask_decoder(
            image_embeddings=embedding.float(),
            image_pe=self._image_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return candidates

    def _enlarged(self, low_res: Tensor, hw: tuple[int, int]) -> Tensor:
        logits: Tensor = self._sam.postprocess_masks(low_res, self._input_hw(hw), hw)
        return logits

    def _points(
        self, prompt: Prompt, hw: tuple[int, int]
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.int32]] | tuple[None, None]:
        """Points [1, P, 2] in pixels of the resized picture with labels [1, P], if there are any."""
        if not len(prompt.points_xy):
            return None, None
        return self._transform.apply_coords(prompt.points_xy, hw)[None], prompt.labels[None]

    def _input_hw(self, hw: tuple[int, int]) -> tuple[int, int]:
        """Size of the resized picture before padding."""
        height, width = self._transform.get_preprocess_shape(*hw, self._transform.target_length)
        return height, width
