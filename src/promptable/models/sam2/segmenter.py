"""SAM 2 on pictures (https://github.com/facebookresearch/sam2): clicks and boxes become masks.

The masks are those of upstream's ``SAM2ImagePredictor`` on the same weights, at any ``image_size`` of the model.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor

from promptable.models.pixels.normalise import normalise_
from promptable.models.pixels.picture import Picture
from promptable.models.runtime.precision import autocast
from promptable.models.runtime.transfer import to_device
from promptable.models.sam2.build import build
from promptable.models.sam2.image_encoder import fuse_encoder
from promptable.models.sam2.video_prompts import BOX_LABELS
from promptable.models.segmentation.base import BaseSegmenter, Embeddings, Given
from promptable.models.segmentation.mask_decoder import fuse_decoder
from promptable.models.segmentation.segmenter import Prompt
from promptable.models.weights import locate

_LOGIT_LIMIT = 32.0


def load(
    model: str, weights_dir: Path, device: str, precision: str = "fp32", cuda_graphs: bool = False
) -> "Sam2Segmenter":
    """The segmenter of an official name (``sam2.1-tiny`` and so on) or of a folder; see ``weights.locate``.

    Raises FileNotFoundError where a file is missing, ModelError where they do not fit together.
    """
    sam2 = build(locate(model, weights_dir)).to(device)
    prepare_for_pictures(sam2, precision)
    return Sam2Segmenter(sam2, precision, cuda_graphs)


def prepare_for_pictures(sam2: SAM2Base, precision: str = "fp32") -> None:
    """Give a model in evaluation mode, on the device where it stays, faster layers of the same meaning."""
    fuse_encoder(sam2, precision)
    fuse_decoder(sam2.sam_mask_decoder, sam2.sam_prompt_encoder, LayerNorm2d, torch.float32)


class Sam2Segmenter(BaseSegmenter):
    """SAM 2 as a ``Segmenter``.

    A picture's features are the high-resolution ones [1, C/8, 4h, 4w] and [1, C/4, 2h, 2w], if the model has them, and
    the image embedding [1, C, h, w].
    """

    def __init__(self, model: SAM2Base, precision: str = "fp32", cuda_graphs: bool = False) -> None:
        super().__init__(model.sam_prompt_encoder, model.device, precision, cuda_graphs)
        self._model = model

    def _encode(self, image: Picture, precision: str) -> tuple[Tensor, ...]:
        """The picture is resized to the model's square as ``SAM2ImagePredictor.set_image`` does."""
        (pixels,) = to_device(self._device, [image])
        size = (self._model.image_size, self._model.image_size)
        scaled = pixels.permute(2, 0, 1)[None].contiguous().float().div_(255)
        resized = F.interpolate(scaled, size, mode="bilinear", align_corners=False, antialias=True)
        with autocast(self._device, precision):
            return self._encoder(normalise_(resized))

    def _run_encoder(self, pixels: Tensor) -> tuple[Tensor, ...]:
        levels = self._model.forward_image(pixels)["backbone_fpn"][-self._model.num_feature_levels :]
        if self._model.directly_add_no_mem_embed:
            levels[-1] = levels[-1] + self._model.no_mem_embed.reshape(1, -1, 1, 1)
        return tuple(levels)

    def _given(self, prompt: Prompt, hw: tuple[int, int]) -> Given:
        """Points [1, P, 2] in pixels of the model's square, with labels [1, P].

        Upstream gives a box as two points with labels of their own, before the clicks.
        """
        points, labels = prompt.points_xy, prompt.labels
        if prompt.box_xyxy is not None:
            points = np.concatenate([prompt.box_xyxy.reshape(2, 2), points])
            labels = np.concatenate([np.array(BOX_LABELS, np.int32), labels])
        return {"points": self._placed(points[None], hw), "labels": labels[None]} if len(points) else {}

    def _given_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Given:
        labels = np.tile(np.array(BOX_LABELS, np.int32), (len(boxes_xyxy), 1))
        return {"points": self._placed(boxes_xyxy.reshape(-1, 2, 2), hw), "labels": labels}

    def _embed(self, given: Mapping[str, Tensor]) -> Embeddings:
        points = (given["points"], given["labels"]) if "points" in given else None
        embeddings: Embeddings = self._prompt_encoder(points=points, boxes=None, masks=given.get("masks"))
        return embeddings

    def _decode(self, sparse: Tensor, dense: Tensor, *features: Tensor, multimask: bool) -> tuple[Tensor, Tensor]:
        *high_res, embedding = (tensor.float() for tensor in features)
        low_res, scores, _, _ = self._model.sam_mask_decoder(
            image_embeddings=embedding,
            image_pe=self._image_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=len(sparse) > 1,
            high_res_features=high_res,
        )
        return low_res, scores

    def _enlarged(self, low_res: Tensor, hw: tuple[int, int]) -> Tensor:
        return F.interpolate(low_res.float(), hw, mode="bilinear", align_corners=False)

    def _kept(self, low_res: Tensor) -> Tensor:
        """As upstream's predictor cuts them."""
        return low_res.float().clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)

    def _placed(self, points: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
        """Points [N, P, 2] in picture pixels as they lie in the model's square."""
        height, width = hw
        parts = points / np.array([width, height], np.float32)
        return np.asarray(parts * self._model.image_size, np.float32)
