"""What SAM and SAM 2 have in common between a picture and its masks."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promptable.models.segmentation.candidates import choose
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures, all_finite
from promptable.models.segmentation.segmenter import Prediction, Prompt

Embeddings = tuple[Tensor, Tensor]
"""The prompt encoder's, of N prompts: sparse [N, P, C] and dense [N, C, h, w]."""


class BaseSegmenter(ABC):
    """A ``Segmenter`` over a model in evaluation mode. It keeps nothing of a picture, so threads may share it.

    ``precision`` is that of the image encoder (``device.autocast``); the rest is quick and always float32.
    """

    def __init__(self, prompt_encoder: Any, device: torch.device, precision: str) -> None:
        self._prompt_encoder = prompt_encoder
        self._device = device
        self._precision = precision

    @torch.inference_mode()
    def encode_image(self, image: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a picture, uint8 RGB [H, W, 3]. Raises FloatingPointError where the model answers NaN or Infinity."""
        tensors = self._encode(image)
        if not all_finite(*tensors):
            raise FloatingPointError("the encoder answered NaN or Infinity: its weights are damaged, or the device is")
        return ImageFeatures((image.shape[0], image.shape[1]), tensors)

    @torch.inference_mode()
    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        """The mask of the object that the prompt points at, as upstream's predictor would give it.

        One lone point asks with ``multimask_output`` and takes the mask that ``extent`` says, by default the one of
        highest score; all else asks for one mask. Raises FloatingPointError where the model answers NaN or Infinity.
        """
        embeddings = self._embed(prompt, features.hw)
        return self._answers(features, embeddings, prompt.is_ambiguous, extent)[0]

    @torch.inference_mode()
    def predict_boxes(self, features: ImageFeatures, boxes_xyxy: NDArray[np.float32]) -> list[Prediction]:
        """One mask for each box, float32 [N, 4], all in one decoding; equals ``predict`` box by box."""
        if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
            raise ValueError(f"expected boxes of [N, 4], got {boxes_xyxy.shape}")
        if not len(boxes_xyxy):
            return []
        return self._answers(features, self._embed_boxes(boxes_xyxy, features.hw), False, Extent.BEST)

    def _answers(
        self, features: ImageFeatures, embeddings: Embeddings, multimask: bool, extent: Extent
    ) -> list[Prediction]:
        """Masks are enlarged one by one, so that many boxes on a large picture stay within memory."""
        logits, scores = choose(*self._decode(features, embeddings, multimask), extent)
        return [self._prediction(*chosen, features.hw) for chosen in zip(logits, scores, strict=True)]

    @abstractmethod
    def _encode(self, image: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """The tensors of a picture's features."""

    @abstractmethod
    def _embed(self, prompt: Prompt, hw: tuple[int, int]) -> Embeddings:
        """One prompt on a picture of ``hw``."""

    @abstractmethod
    def _embed_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Embeddings:
        """One prompt for each box [N, 4], N >= 1, on a picture of ``hw``."""

    @abstractmethod
    def _decode(self, features: ImageFeatures, embeddings: Embeddings, multimask: bool) -> tuple[Tensor, Tensor]:
        """For each of N prompts C candidates: low-res logits [N, C, h, w] and scores [N, C]."""

    @abstractmethod
    def _prediction(self, low_res: Tensor, score: Tensor, hw: tuple[int, int]) -> Prediction:
        """The mask of a picture of ``hw`` from one candidate's logits [1, h, w]."""

    def _mask_input(self, prompt: Prompt) -> Tensor | None:
        """The mask input [1, 1, h, w]. Raises ValueError for one of another size than this model's."""
        if prompt.mask_input is None:
            return None
        if prompt.mask_input.shape != (hw := self._prompt_encoder.mask_input_size):
            raise ValueError(f"expected a mask input of {list(hw)}, got {list(prompt.mask_input.shape)}")
        return self._tensor(prompt.mask_input[None, None], torch.float32)

    def _tensor(self, values: NDArray[np.generic], dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=self._device)
