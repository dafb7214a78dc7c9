"""Segment Anything (https://github.com/facebookresearch/segment-anything): clicks and boxes on a picture become masks.

The masks are those of upstream's ``SamPredictor`` on the same weights.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor, nn

from promptable.errors import BadRequestError
from promptable.models.runtime.device import autocast
from promptable.models.sam.image_encoder import speed_up
from promptable.models.segmentation.base import BaseSegmenter, Embeddings
from promptable.models.segmentation.segmenter import ImageFeatures, Prediction, Prompt
from promptable.models.weights import load_state_dict, locate

_PIXEL_MEAN = [123.675, 116.28, 103.53]
_PIXEL_STD = [58.395, 57.12, 57.375]


@dataclass(frozen=True)
class SamConfig:
    """Sizes of a SAM, named as the arguments in upstream's ``build_sam.py``. The official models share the defaults.

    ``image_size`` and ``patch_size`` are in pixels of the square model input, ``window_size`` in patches.
    """

    encoder_embed_dim: int
    encoder_depth: int
    encoder_num_heads: int
    encoder_global_attn_indexes: tuple[int, ...]
    image_size: int = 1024
    patch_size: int = 16
    window_size: int = 14
    prompt_embed_dim: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_num_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_hidden_dim: int = 256

    @classmethod
    def from_json(cls, file: Path) -> "SamConfig":
        """Read a ``config.json`` of these fields. Raises ValueError that names the unknown or missing keys."""
        values = json.loads(file.read_text())
        known = {field.name for field in fields(cls)}
        required = {field.name for field in fields(cls) if field.default is MISSING}
        for problem, keys in (("unknown", values.keys() - known), ("missing", required - values.keys())):
            if keys:
                raise ValueError(f"{file}: {problem} keys {sorted(keys)}; the keys are {sorted(known)}")
        return cls(**values | {"encoder_global_attn_indexes": tuple(values["encoder_global_attn_indexes"])})


PRESETS: Mapping[str, SamConfig] = MappingProxyType(
    {
        "vit_b": SamConfig(768, 12, 12, (2, 5, 8, 11)),
        "vit_l": SamConfig(1024, 24, 16, (5, 11, 17, 23)),
        "vit_h": SamConfig(1280, 32, 16, (7, 15, 23, 31)),
    }
)


def build(config: SamConfig) -> Sam:
    """The upstream model of these sizes with random weights, in evaluation mode; as upstream's ``_build_sam``."""
    sam = Sam(_image_encoder(config), _prompt_encoder(config), _mask_decoder(config), _PIXEL_MEAN, _PIXEL_STD)
    return sam.eval()


def _image_encoder(config: SamConfig) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.encoder_embed_dim,
        depth=config.encoder_depth,
        num_heads=config.encoder_num_heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        global_attn_indexes=config.encoder_global_attn_indexes,
        window_size=config.window_size,
        out_chans=config.prompt_embed_dim,
    )


def _prompt_encoder(config: SamConfig) -> PromptEncoder:
    grid = config.image_size // config.patch_size
    return PromptEncoder(
        embed_dim=config.prompt_embed_dim,
        image_embedding_size=(grid, grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.mask_in_chans,
    )


def _mask_decoder(config: SamConfig) -> MaskDecoder:
    transformer = TwoWayTransformer(
        depth=config.decoder_depth,
        embedding_dim=config.prompt_embed_dim,
        num_heads=config.decoder_num_heads,
        mlp_dim=config.decoder_mlp_dim,
    )
    return MaskDecoder(
        transformer_dim=config.prompt_embed_dim,
        transformer=transformer,
        iou_head_hidden_dim=config.iou_head_hidden_dim,
    )


def load(model: str, weights_dir: Path, device: str, precision: str = "fp32") -> "SamSegmenter":
    """The segmenter of an official name (``vit_b``, ``vit_l``, ``vit_h``) or of a folder; see ``weights.locate``.

    Raises FileNotFoundError where a file is missing, ValueError where they do not fit together.
    """
    files = locate(model, weights_dir)
    sam = build(PRESETS[files.name] if files.config is None else SamConfig.from_json(files.config))
    try:
        sam.load_state_dict(load_state_dict(files.weights, files.sha256))
    except RuntimeError as error:
        raise ValueError(f"{files.weights} does not fit its configuration: {error}") from error
    speed_up(sam.to(device).image_encoder, precision)
    return SamSegmenter(sam, precision)


class SamSegmenter(BaseSegmenter):
    """SAM as a ``Segmenter``. A picture's features are one tensor, [1, C, h, w]."""

    def __init__(self, sam: Sam, precision: str = "fp32") -> None:
        super().__init__(sam.prompt_encoder, sam.device, precision)
        self._sam = sam
        self._transform = ResizeLongestSide(sam.image_encoder.img_size)

    def _encode(self, image: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """The picture is resized as ``SamPredictor.set_image`` does; one that would vanish raises BadRequestError."""
        hw = (image.shape[0], image.shape[1])
        if 0 in self._input_hw(hw):
            raise BadRequestError(f"image: too narrow for the model, {hw[1]} x {hw[0]} pixels")
        resized = torch.from_numpy(self._transform.apply_image(image)).to(self._device)
        pixels = self._sam.preprocess(resized.permute(2, 0, 1).contiguous()[None])
        with autocast(str(self._device), self._precision):
            return (self._sam.image_encoder(pixels),)

    def _embed(self, prompt: Prompt, hw: tuple[int, int]) -> Embeddings:
        box = None if prompt.box_xyxy is None else self._boxes(prompt.box_xyxy, hw)
        embeddings: Embeddings = self._prompt_encoder(self._points(prompt, hw), box, self._logits(prompt))
        return embeddings

    def _embed_boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Embeddings:
        embeddings: Embeddings = self._prompt_encoder(None, self._boxes(boxes_xyxy, hw), None)
        return embeddings

    def _decode(self, features: ImageFeatures, embeddings: Embeddings, multimask: bool) -> tuple[Tensor, Tensor]:
        (embedding,) = features.tensors
        candidates: tuple[Tensor, Tensor] = self._sam.mask_decoder(
            image_embeddings=embedding.float(),
            image_pe=self._prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=embeddings[0],
            dense_prompt_embeddings=embeddings[1],
            multimask_output=multimask,
        )
        return candidates

    def _prediction(self, low_res: Tensor, score: Tensor, hw: tuple[int, int]) -> Prediction:
        logits = self._sam.postprocess_masks(low_res[None], self._input_hw(hw), hw)
        mask = logits[0, 0] > self._sam.mask_threshold
        return Prediction(mask.cpu().numpy(), float(score), low_res[0].cpu().numpy())

    def _points(self, prompt: Prompt, hw: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
        if not len(prompt.points_xy):
            return None
        points = self._transform.apply_coords(prompt.points_xy, hw)[None]
        return self._tensor(points, torch.float32), self._tensor(prompt.labels[None], torch.int32)

    def _boxes(self, boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> Tensor:
        return self._tensor(self._transform.apply_boxes(boxes_xyxy, hw), torch.float32)

    def _input_hw(self, hw: tuple[int, int]) -> tuple[int, int]:
        """Size of the resized picture before padding."""
        height, width = self._transform.get_preprocess_shape(*hw, self._transform.target_length)
        return height, width
