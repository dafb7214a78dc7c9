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

from promptable.models.checkpoints import locate
from promptable.models.device import autocast
from promptable.models.extent import Extent
from promptable.models.sam2_build import build
from promptable.models.sam2_encoder import speed_up
from promptable.models.segmenter import ImageFeatures, Prediction, Prompt, check_boxes, check_logits, chosen_of

_MASK_THRESHOLD = 0.0
_LOGIT_LIMIT = 32.0
_BOX_LABELS = (2, 3)


def load(model: str, weights_dir: Path, device: str, precision: str = "fp32") -> "Sam2Segmenter":
    """The segmenter of an official name (``sam2.1-tiny`` and so on) or of a folder; see ``checkpoints.locate``.

    Raises FileNotFoundError where a file is missing, ValueError for a model that is no SAM 2 or wrong weights.
    """
    sam2 = build(locate(model, weights_dir)).to(device)
    speed_up(sam2.image_encoder, precision)
    return Sam2Segmenter(sam2, precision)


class Sam2Segmenter:
    """A ``Segmenter`` over a SAM 2 in evaluation mode. It keeps nothing of a picture, so threads may share it.

    ``precision`` is that of the image encoder (``device.autocast``); the rest is quick and always float32.
    """

    def __init__(self, model: SAM2Base, precision: str = "fp32") -> None:
        self._model = model
        self._precision = precision
        self._transforms = SAM2Transforms(model.image_size, _MASK_THRESHOLD)

    @torch.inference_mode()
    def encode_image(self, image: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a picture, uint8 RGB [H, W, 3], resized to the model's square as ``set_image`` does.

        The tensors: the high-resolution features [1, C/8, 4h, 4w] and [1, C/4, 2h, 2w], if the model has them, and the
        image embedding [1, C, h, w].
        """
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._model.device).permute(2, 0, 1)
        scaled = self._transforms.transforms(pixels.contiguous().float().div_(255))
        with autocast(str(self._model.device), self._precision):
            levels = self._model.forward_image(scaled[None])["backbone_fpn"][-self._model.num_feature_levels :]
        if self._model.directly_add_no_mem_embed:
            levels[-1] = levels[-1] + self._model.no_mem_embed.reshape(1, -1, 1, 1)
        return ImageFeatures((image.shape[0], image.shape[1]), tuple(levels))

    @torch.inference_mode()
    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        """The mask of the object that the prompt points at, as ``SAM2ImagePredictor.predict`` would give it.

        One lone point asks with ``multimask_output`` and takes the mask that ``extent`` says, by default the one of
        highest score; all else asks for one mask.
        """
        points = self._points(prompt, features.hw)
        sparse, dense = self._model.sam_prompt_encoder(points=points, boxes=None, masks=self._logits(prompt))
        return self._decode(features, sparse, dense, prompt.is_ambiguous, extent)[0]

    @torch.inference_mode()
    def predict_boxes(self, features: ImageFeatures, boxes_xyxy: NDArray[np.float32]) -> list[Prediction]:
        """One mask for each box, float32 [N, 4], all in one decoding; equals ``predict`` box by box."""
        check_boxes(boxes_xyxy)
        if not len(boxes_xyxy):
            return []
        labels = np.tile(np.array(_BOX_LABELS, np.int32), (len(boxes_xyxy), 1))
        points = self._placed(boxes_xyxy.reshape(-1, 2, 2), labels, features.hw)
        sparse, dense = self._model.sam_prompt_encoder(points=points, boxes=None, masks=None)
        return self._decode(features, sparse, dense)

    def _decode(
        self,
        features: ImageFeatures,
        sparse: Tensor,
        dense: Tensor,
        multimask: bool = False,
        extent: Extent = Extent.BEST,
    ) -> list[Prediction]:
        *high_res, embedding = (tensor.float() for tensor in features.tensors)
        low_res, scores, _, _ = self._model.sam_mask_decoder(
            image_embeddings=embedding,
            image_pe=self._model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=len(sparse) > 1,
            high_res_features=high_res,
        )
        low_res, scores = chosen_of(low_res, scores, extent)
        return [self._prediction(*chosen, features.hw) for chosen in zip(low_res, scores, strict=True)]

    def _prediction(self, low_res: Tensor, score: Tensor, hw: tuple[int, int]) -> Prediction:
        """Masks are upscaled one by one, so that many boxes on a large picture stay within memory."""
        mask = self._transforms.postprocess_masks(low_res[None], hw)[0, 0] > _MASK_THRESHOLD
        kept = low_res[0].float().clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)
        return Prediction(mask.cpu().numpy(), float(score), kept.cpu().numpy())

    def _points(self, prompt: Prompt, hw: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
        """Upstream gives a box as two points with labels of their own, before the clicks."""
        points, labels = prompt.points_xy, prompt.labels
        if prompt.box_xyxy is not None:
            points = np.concatenate([prompt.box_xyxy.reshape(2, 2), points])
            labels = np.concatenate([np.array(_BOX_LABELS, np.int32), labels])
        return self._placed(points[None], labels[None], hw) if len(points) else None

    def _placed(
        self, points: NDArray[np.float32], labels: NDArray[np.int32], hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Points [N, P, 2] in picture pixels, with labels [N, P], as the prompt encoder takes them."""
        picture_points = torch.as_tensor(points, dtype=torch.float32, device=self._model.device)
        scaled = self._transforms.transform_coords(picture_points, normalize=True, orig_hw=hw)
        return scaled, torch.as_tensor(labels, dtype=torch.int32, device=self._model.device)

    def _logits(self, prompt: Prompt) -> Tensor | None:
        if prompt.low_res_logits is None:
            return None
        check_logits(prompt.low_res_logits, self._model.sam_prompt_encoder.mask_input_size)
        logits = torch.as_tensor(prompt.low_res_logits, dtype=torch.float32, device=self._model.device)
        return logits[None, None]
