"""SAM 2 on pictures (https://github.com/facebookresearch/sam2): clicks and boxes become masks.

The masks are those of upstream's ``SAM2ImagePredictor`` on the same weights, at any ``image_size`` of the model.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from sam2.utils.transforms import SAM2Transforms
from torch import Tensor

from promptable.models.runtime.device import autocast
from promptable.models.sam2.build import build
from promptable.models.sam2.image_encoder import pack_encoder
from promptable.models.segmentation.base import BaseSegmenter, Embeddings
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction, Prompt
from promptable.models.weights import locate

_MASK_THRESHOLD = 0.0
_LOGIT_LIMIT = 32.0
_BOX_LABELS = (2, 3)


def load(model: str, weights_dir: Path, device: str, precision: str = "fp32") -> "Sam2Segmenter":
    """The segmenter of an official name (``sam2.1-tiny`` and so on) or of a folder; see ``weights.locate``.

    Raises FileNotFoundError where a file is missing, ValueError where they do not fit together.
    """
    sam2 = build(locate(model, weights_dir)).to(device)
    pack_encoder(sam2.image_encoder, precision)
    return Sam2Segmenter(sam2, precision)


class Sam2Segmenter(BaseSegmenter):
    """SAM 2 as a ``Segmenter``.

    A picture's features are the high-resolution ones [1, C/8, 4h, 4w] and [1, C/4, 2h, 2w], if the model has them, and
    the image embedding [1, C, h, w].
    """

    def __init__(self, model: SAM2Base, precision: str = "fp32") -> None:
        super().__init__(model.sam_prompt_encoder, model.device, precision)
        self._model = model
        self._transforms = SAM2Transforms(model.image_size, _MASK_THRESHOLD)

    def _encode(self, image: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """The picture is resized to the model's square as ``SAM2ImagePredictor.set_image`` does."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device).permute(2, 0, 1)
        scaled = self._transforms.transforms(pixels.contiguous().float().div_(255))
        with autocast(str(self._device), self._precision):
            levels = self._model.forward_image(scaled[None])["backbone_fpn"][-self._model.num_feature_levels :]
        if self._model.directly_add_no_mem_embed:
            levels[-1] = levels[-1] + self._model.no_mem_embed.reshape(1, -1, 1, 1)
        return tuple(levels)

    def _embed(self, prompt: Prompt, hw: tuple[int, int]) -> Embeddings:
        """Upstream gives a box as two points with labels of their own, before the clicks."""
        points, labels = prompt.points_xy, prompt.labels
        if prompt.box_xyxy is not None:
            points = np.concatenate([prompt.box_xyxy.reshape(2, 2), points])
            labels = np.concatenate([np.array(_BOX_LABELS, np.int32), labels])
        placed = self._placed(points[None], labels[None], hw) if len(points) else None
        return self._embed_placed(placed, self._mask_input(prompt))

    def _embed_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Embeddings:
        labels = np.tile(np.array(_BOX_LABELS, np.int32), (len(boxes_xyxy), 1))
        return self._embed_placed(self._placed(boxes_xyxy.reshape(-1, 2, 2), labels, hw), None)

    def _embed_placed(self, points: tuple[Tensor, Tensor] | None, logits: Tensor | None) -> Embeddings:
        embeddings: Embeddings = self._prompt_encoder(points=points, boxes=None, masks=logits)
        return embeddings

    def _decode(self, features: ImageFeatures, embeddings: Embeddings, multimask: bool) -> tuple[Tensor, Tensor]:
        sparse, dense = embeddings
        *high_res, embedding = (tensor.float() for tensor in features.tensors)
        low_res, scores, _, _ = self._model.sam_mask_decoder(
            image_embeddings=embedding,
            image_pe=self._prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=len(sparse) > 1,
            high_res_features=high_res,
        )
        return low_res, scores

    def _prediction(self, low_res: Tensor, score: Tensor, hw: tuple[int, int]) -> Prediction:
        mask = self._transforms.postprocess_masks(low_res[None], hw)[0, 0] > _MASK_THRESHOLD
        kept = low_res[0].float().clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)
        return Prediction(mask.cpu().numpy(), float(score), kept.cpu().numpy())

    def _placed(
        self, points: NDArray[np.float32], labels: NDArray[np.int32], hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Points [N, P, 2] in picture pixels, with labels [N, P], as the prompt encoder takes them."""
        picture_points = self._tensor(points, torch.float32)
        scaled = self._transforms.transform_coords(picture_points, normalize=True, orig_hw=hw)
        return scaled, self._tensor(labels, torch.int32)
