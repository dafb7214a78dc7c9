"""The steps from a picture to its masks that SAM and SAM 2 share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promptable.models.pixels.picture import Picture
from promptable.models.runtime.cuda_graphs import Graphs
from promptable.models.runtime.finite import all_finite, require
from promptable.models.runtime.precision import guarded
from promptable.models.runtime.transfer import to_cpu, to_device
from promptable.models.segmentation.candidates import choose
from promptable.models.segmentation.enlarging import masks_at_once
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction, Prompt

Embeddings = tuple[Tensor, Tensor]
"""The prompt encoder's embeddings of N prompts: sparse [N, P, C] and dense [N, C, h, w]."""

Given = Mapping[str, NDArray[np.generic] | None]
"""What N prompts give the prompt encoder, by name; None for what they do not have. Labels are int32, all else becomes
float32; ``masks`` [N, 1, h, w] are logits."""

_ENCODERS, _DECODERS = 2, 12
"""How many CUDA graphs are kept: encoders, one for each precision; decoders, one for each number of points."""


class BaseSegmenter(ABC):
    """A ``Segmenter`` over a model in evaluation mode. It stores nothing about a picture, so threads may share it.

    ``precision`` is that of the image encoder (``models.runtime.precision``). Prompt encoder and mask decoder are quick
    and always float32. With ``cuda_graphs`` on a GPU, the image encoder runs as a graph, and so do prompt encoder and
    mask decoder for a single prompt (``models.runtime.cuda_graphs``).
    """

    def __init__(self, prompt_encoder: Any, device: torch.device, precision: str, cuda_graphs: bool) -> None:
        self._prompt_encoder = prompt_encoder
        with torch.inference_mode():
            self._image_pe: Tensor = prompt_encoder.get_dense_pe()
        self._device = device
        self._precision = precision
        graphs = Graphs(device, cuda_graphs)
        self._encoder = graphs.stage("image encoder", self._run_encoder, _ENCODERS)
        self._decoder_of_one = graphs.stage("mask decoder", self._run_decoder, _DECODERS)

    @torch.inference_mode()
    def encode_image(self, image: Picture) -> ImageFeatures:
        """Encode a picture, uint8 RGB [H, W, 3].

        ``predict``, and not this method, raises FloatingPointError for features that are not finite.
        """
        return guarded(self._precision, partial(self._features, image))

    @torch.inference_mode()
    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        """The mask of the object that the prompt points at, the same as from upstream's predictor.

        For a single point the model is called with ``multimask_output``, and ``extent`` selects one of the masks, by
        default the one with the highest score. For any other prompt the model returns one mask. Raises
        FloatingPointError if the model's output contains NaN or Infinity.
        """
        given = {**self._given(prompt, features.hw), "masks": self._mask_input(prompt)}
        return next(self._answers(features, given, prompt.is_ambiguous, extent))

    def predict_boxes(self, features: ImageFeatures, boxes_xyxy: NDArray[np.float32]) -> Iterator[Prediction]:
        """One mask for each box, float32 [N, 4], all in one call of the decoder; the same masks as ``predict`` gives
        box by box. They are enlarged as they are taken: a mask takes a byte for each pixel of the picture."""
        if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
            raise ValueError(f"expected boxes of [N, 4], got {boxes_xyxy.shape}")
        if not len(boxes_xyxy):
            return iter(())
        return self._answers(features, self._given_boxes(boxes_xyxy, features.hw), False, Extent.BEST)

    def _features(self, image: Picture, precision: str) -> ImageFeatures:
        """Features in float32 for every precision, since the last layers of the encoders are float32.

        In ``fp16`` this waits for the GPU, and raises FloatingPointError if float16 overflows on this picture.
        """
        features = ImageFeatures((image.shape[0], image.shape[1]), self._encode(image, precision))
        if precision == "fp16":
            require(features.finite)
        return features

    @torch.inference_mode()
    def _answers(self, features: ImageFeatures, given: Given, multimask: bool, extent: Extent) -> Iterator[Prediction]:
        """Decode the prompts at once, and enlarge the masks in small groups: many on a large picture do not fit."""
        prompts = {name: _narrow(each) for name, each in given.items() if each is not None}
        inputs = (*to_device(self._device, list(prompts.values())), *features.tensors)
        decode = self._decoder_of_one if len(inputs[0]) == 1 else self._run_decoder
        low_res, scores = decode(*inputs, given=tuple(prompts), multimask=multimask)
        finite, chosen = features.finite & all_finite(low_res, scores), choose(low_res, scores, extent)
        together = masks_at_once(features.hw, self._device)
        for low_res, scores in zip(*(torch.split(each, together) for each in chosen), strict=True):
            yield from self._predictions(low_res, scores, finite, features.hw)

    def _run_decoder(self, *inputs: Tensor, given: tuple[str, ...], multimask: bool) -> tuple[Tensor, ...]:
        """``_decode`` for prompts: the first inputs are what is ``given``, the others a picture's features."""
        embeddings = self._embed(dict(zip(given, inputs, strict=False)))
        return self._decode(*embeddings, *inputs[len(given) :], multimask=multimask)

    def _predictions(self, low_res: Tensor, scores: Tensor, finite: Tensor, hw: tuple[int, int]) -> list[Prediction]:
        """The predictions on a picture of ``hw``; masks, logits and scores are copied from the device together."""
        masks = self._enlarged(low_res, hw)[:, 0] > 0
        masks, kept, scores, finite = to_cpu(masks, self._kept(low_res[:, 0]), scores, finite)
        require(finite)
        # Copies: all arrays are views of one block, so logits kept for a later click would keep the mask in memory too.
        logits = [one.copy() for one in kept.numpy()]
        return [Prediction(*each) for each in zip(masks.numpy(), scores.tolist(), logits, strict=True)]

    @abstractmethod
    def _encode(self, image: Picture, precision: str) -> tuple[Tensor, ...]:
        """The tensors of the features of a picture, uint8 RGB [H, W, 3]."""

    @abstractmethod
    def _run_encoder(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The tensors of the features of a picture [1, 3, S, S], resized and normalised as the model expects it."""

    @abstractmethod
    def _given(self, prompt: Prompt, hw: tuple[int, int]) -> Given:
        """What one prompt on a picture of ``hw`` gives the prompt encoder, beside its mask input."""

    @abstractmethod
    def _given_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Given:
        """What N prompts give it, one for each box [N, 4], N >= 1, on a picture of ``hw``."""

    @abstractmethod
    def _embed(self, given: Mapping[str, Tensor]) -> Embeddings:
        """The embeddings of N prompts, of which this is ``Given``, on the device."""

    @abstractmethod
    def _decode(self, sparse: Tensor, dense: Tensor, *features: Tensor, multimask: bool) -> tuple[Tensor, Tensor]:
        """C candidate masks for each of N embeddings: low-res logits [N, C, h, w] and scores [N, C]."""

    @abstractmethod
    def _enlarged(self, low_res: Tensor, hw: tuple[int, int]) -> Tensor:
        """Logits [N, 1, H, W] of a picture of ``hw`` from low-res ones [N, 1, h, w]; above 0 is the object."""

    def _kept(self, low_res: Tensor) -> Tensor:
        """The low-res logits [N, h, w] in the form in which a later prompt can have them as mask input."""
        return low_res

    def _mask_input(self, prompt: Prompt) -> NDArray[np.float32] | None:
        """The mask input [1, 1, h, w], or None. Raises ValueError for another size than the model's low-res logits."""
        if prompt.mask_input is None:
            return None
        if prompt.mask_input.shape != (hw := self._prompt_encoder.mask_input_size):
            raise ValueError(f"expected a mask input of {list(hw)}, got {list(prompt.mask_input.shape)}")
        return prompt.mask_input[None, None]


def _narrow(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return array.astype(np.float32) if array.dtype.kind == "f" else array
