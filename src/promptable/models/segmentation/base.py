"""What SAM and SAM 2 have in common between a picture and its masks."""

from abc import ABC, abstractmethod
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promptable.models.runtime.cuda_graphs import Graphs
from promptable.models.runtime.finite import all_finite, require
from promptable.models.runtime.precision import guarded
from promptable.models.runtime.transfer import to_cpu, to_device
from promptable.models.segmentation.candidates import choose
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction, Prompt

Embeddings = tuple[Tensor, Tensor]
"""The prompt encoder's, of N prompts: sparse [N, P, C] and dense [N, C, h, w]."""

_ENCODERS, _DECODERS = 2, 12
"""CUDA graphs that are kept: of precisions, and of numbers of points in a prompt."""
_PIXELS_AT_ONCE = 2**26
"""Of masks that a GPU enlarges together: 256 MB of logits."""


class BaseSegmenter(ABC):
    """A ``Segmenter`` over a model in evaluation mode. It keeps nothing of a picture, so threads may share it.

    ``precision`` is that of the image encoder (``models.runtime.precision``); the rest is quick and always float32.
    With ``cuda_graphs`` the encoder, and the decoder of one prompt, are ``models.runtime.cuda_graphs`` on a GPU.
    """

    def __init__(self, prompt_encoder: Any, device: torch.device, precision: str, cuda_graphs: bool) -> None:
        self._prompt_encoder = prompt_encoder
        with torch.inference_mode():
            self._image_pe: Tensor = prompt_encoder.get_dense_pe()
        self._device = device
        self._precision = precision
        graphs = Graphs(device, cuda_graphs)
        self._encoder = graphs.stage("image encoder", self._run_encoder, _ENCODERS)
        self._decoder_of_one = graphs.stage("mask decoder", self._decode, _DECODERS)

    @torch.inference_mode()
    def encode_image(self, image: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a picture, uint8 RGB [H, W, 3]. Whether the features are finite is found out where they are used."""
        return guarded(self._precision, partial(self._features, image))

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

    def _features(self, image: NDArray[np.uint8], precision: str) -> ImageFeatures:
        """Float32 whatever the precision, since encoders' last layers are.

        Raises FloatingPointError where float16 is too small for the picture, which is waited for.
        """
        features = ImageFeatures((image.shape[0], image.shape[1]), self._encode(image, precision))
        if precision == "fp16":
            require(features.finite)
        return features

    def _answers(
        self, features: ImageFeatures, embeddings: Embeddings, multimask: bool, extent: Extent
    ) -> list[Prediction]:
        """Masks are enlarged few at a time, so that many boxes on a large picture stay within memory."""
        decode = self._decoder_of_one if len(embeddings[0]) == 1 else self._decode
        low_res, scores = decode(*embeddings, *features.tensors, multimask=multimask)
        finite, chosen = features.finite & all_finite(low_res, scores), choose(low_res, scores, extent)
        together = 1 if self._device.type == "cpu" else max(1, _PIXELS_AT_ONCE // prod(features.hw))
        groups = zip(*(torch.split(each, together) for each in chosen), strict=True)
        return [one for low_res, scores in groups for one in self._predictions(low_res, scores, finite, features.hw)]

    def _predictions(self, low_res: Tensor, scores: Tensor, finite: Tensor, hw: tuple[int, int]) -> list[Prediction]:
        """The masks of a picture of ``hw``; all that is answered leaves the device in one copy."""
        masks = self._enlarged(low_res, hw)[:, 0] > 0
        masks, kept, scores, finite = to_cpu(masks, self._kept(low_res[:, 0]), scores, finite)
        require(finite)
        # Copies, lest the logits that are remembered of a click keep its mask in memory.
        logits = [one.copy() for one in kept.numpy()]
        return [Prediction(*each) for each in zip(masks.numpy(), scores.tolist(), logits, strict=True)]

    @abstractmethod
    def _encode(self, image: NDArray[np.uint8], precision: str) -> tuple[Tensor, ...]:
        """The tensors of a picture's features."""

    @abstractmethod
    def _run_encoder(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The tensors of the features of a picture [1, 3, S, S] as the model wants it."""

    @abstractmethod
    def _embed(self, prompt: Prompt, hw: tuple[int, int]) -> Embeddings:
        """One prompt on a picture of ``hw``."""

    @abstractmethod
    def _embed_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Embeddings:
        """One prompt for each box [N, 4], N >= 1, on a picture of ``hw``."""

    @abstractmethod
    def _decode(self, sparse: Tensor, dense: Tensor, *features: Tensor, multimask: bool) -> tuple[Tensor, Tensor]:
        """For each of N ``Embeddings`` C candidates: low-res logits [N, C, h, w] and scores [N, C]."""

    @abstractmethod
    def _enlarged(self, low_res: Tensor, hw: tuple[int, int]) -> Tensor:
        """Logits [N, 1, H, W] of a picture of ``hw`` from low-res ones [N, 1, h, w]; above 0 is the object."""

    def _kept(self, low_res: Tensor) -> Tensor:
        """The low-res logits [N, h, w] as a later prompt may give them back."""
        return low_res

    def _mask_input(self, prompt: Prompt) -> NDArray[np.float32] | None:
        """The mask input [1, 1, h, w]. Raises ValueError for one of another size than this model's."""
        if prompt.mask_input is None:
            return None
        if prompt.mask_input.shape != (hw := self._prompt_encoder.mask_input_size):
            raise ValueError(f"expected a mask input of {list(hw)}, got {list(prompt.mask_input.shape)}")
        return prompt.mask_input[None, None]

    def _on_device(self, *values: NDArray[np.generic] | None) -> list[Tensor | None]:
        """Those that are there, float32, in one copy; None for the others."""
        there = [np.asarray(each, np.float32) for each in values if each is not None]
        tensors = iter(to_device(self._device, there))
        return [None if each is None else next(tensors) for each in values]
