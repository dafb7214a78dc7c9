"""Grounding DINO (https://github.com/IDEA-Research/GroundingDINO): a picture and prompts become boxes with scores.

The boxes and logits are those of upstream's own forward on the same weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from cachetools import LRUCache
from groundingdino.models.GroundingDINO import groundingdino as upstream
from groundingdino.models.GroundingDINO.bertwarper import generate_masks_with_special_tokens_and_transfer_map
from groundingdino.models.GroundingDINO.utils import get_sine_pos_embed
from groundingdino.util.misc import NestedTensor
from torch import Tensor, nn
from torchvision.ops import box_convert

from promptable.models.catalogue import BERT_VOCABULARY
from promptable.models.detection.detector import PromptScores
from promptable.models.grounding_dino.build import PRESETS, GroundingDinoConfig, build
from promptable.models.grounding_dino.captions import Caption, pack
from promptable.models.grounding_dino.deformable_attention import Shapes
from promptable.models.grounding_dino.preprocess import preprocess
from promptable.models.grounding_dino.spelling import spell
from promptable.models.grounding_dino.swin import FastSwin
from promptable.models.grounding_dino.text_encoder import load_tokenizer, new_bert
from promptable.models.grounding_dino.transformer import FastTransformer, Layout, TextFeatures, as_pixels
from promptable.models.grounding_dino.windows import Stages
from promptable.models.pixels.picture import Picture
from promptable.models.runtime import initialisation
from promptable.models.runtime.cuda_graphs import Graphs
from promptable.models.runtime.out_of_memory import naming_out_of_memory
from promptable.models.runtime.packed_linear import pack_linears
from promptable.models.runtime.precision import InFloat32, autocast, guarded, numbers
from promptable.models.runtime.transfer import to_cpu, to_device
from promptable.models.weights import load_weights, locate, read_sizes

_PROMPT_SETS_KEPT = 8
_SIZES, _SIZES_AND_CAPTIONS = 4, 8
"""Layouts and CUDA graphs that are kept."""
_OFTEN = 4
"""At which picture of a size, and which caption on it, a graph is captured: that takes as long as twenty pictures."""
# In the official checkpoints, but not in the model: upstream skips all such keys, here any other is an error.
_UNUSED_KEYS = {"label_enc.weight", "bert.embeddings.position_ids"}


@dataclass(frozen=True)
class _CaptionFeatures:
    """A caption, what the transformer reads of it, and the numbers of its prompts, int64, on the model's device."""

    caption: Caption
    text: TextFeatures
    prompt_indices: Tensor


def load(
    model: str, weights_dir: Path, device: str, precision: str = "fp32", cuda_graphs: bool = False
) -> "GroundingDINO":
    """The detector of an official name (``swin-t``, ``swin-b``) or of a folder; see ``weights.locate``.

    BERT's vocabulary lies beside the weights as ``vocab.txt``, its sizes as ``bert.json``; without that file they are
    those of bert-base-uncased. Raises FileNotFoundError for a missing file, ModelError for files that do not fit.
    """
    files = locate(model, weights_dir)
    config = PRESETS[files.name] if files.config is None else read_sizes(GroundingDinoConfig, files.config)
    vocabulary_sha256 = BERT_VOCABULARY.sha256 if files.config is None else None
    tokenizer = load_tokenizer(files.folder / BERT_VOCABULARY.file_name, vocabulary_sha256)
    with initialisation.left_out():
        network = build(config, new_bert(files.folder / "bert.json"), tokenizer)
    load_weights(network, files, _UNUSED_KEYS)
    return GroundingDINO(use_fast_layers(network.to(device), precision), config, precision, cuda_graphs)


class GroundingDINO:
    """Grounding DINO as a ``Detector``. It keeps encoded prompts, nothing of a picture; threads may share it."""

    def __init__(
        self,
        model: upstream.GroundingDINO,
        config: GroundingDinoConfig,
        precision: str = "fp32",
        cuda_graphs: bool = False,
    ) -> None:
        """Wrap upstream's model after ``use_fast_layers``; ``precision`` as in ``models.runtime.precision``.

        With ``cuda_graphs`` on a GPU, backbone and transformer run as graphs (``models.runtime.cuda_graphs``).
        """
        self._model = model
        self._config = config
        self._precision = precision
        self._device: torch.device = model.feat_map.weight.device
        graphs = Graphs(self._device, cuda_graphs)
        self._backbone = graphs.stage("backbone", self._run_backbone, _SIZES, _OFTEN)
        self._transformer = graphs.stage("transformer", self._run_transformer, _SIZES_AND_CAPTIONS, _OFTEN)
        self._cut: LRUCache[tuple[int, int], Stages] = LRUCache(_SIZES)
        self._layouts: LRUCache[Shapes, Layout] = LRUCache(_SIZES)
        self._encoded: LRUCache[tuple[str, ...], list[_CaptionFeatures]] = LRUCache(_PROMPT_SETS_KEPT)
        self._lock = Lock()

    @torch.inference_mode()
    @naming_out_of_memory()
    def detect(self, image: Picture, prompts: Sequence[str], scale: float = 1.0) -> PromptScores:
        """Look for all prompts in a picture, uint8 RGB [H, W, 3], shown to the model at ``scale`` of its usual size.

        A prompt's score for a box is ``span_scores``. Raises ValueError for prompts as ``pack`` does, OutOfMemoryError,
        FloatingPointError where the model's own numbers are not finite.
        """
        captions = self._encode(tuple(prompts))
        return guarded(self._precision, partial(self._detect, image, captions, len(prompts), scale))

    def spell(self, prompt: str) -> tuple[int, ...]:
        """The ids of a prompt's tokens (``spelling.spell``). Raises ValueError that names one that cannot be read."""
        return spell(prompt, self._model.tokenizer.backend_tokenizer)

    @torch.inference_mode()
    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode prompts ahead of the first picture. Raises ValueError for prompts as ``pack`` does."""
        self._encode(tuple(prompts))

    def _encode(self, prompts: tuple[str, ...]) -> list[_CaptionFeatures]:
        """Encoded captions; those of the latest sets of prompts are kept."""
        with self._lock:
            if prompts not in self._encoded:
                captions = pack(prompts, self._model.tokenizer)
                self._encoded[prompts] = [self._encode_caption(caption) for caption in captions]
            return self._encoded[prompts]

    def _encode_caption(self, caption: Caption) -> _CaptionFeatures:
        """The first part of upstream's forward, for one caption. Many small steps, of who sees whom, run on the CPU."""
        model = self._model
        ids = torch.tensor([caption.input_ids])
        visible, positions, _ = generate_masks_with_special_tokens_and_transfer_map(
            {"input_ids": ids}, model.specical_tokens, model.tokenizer
        )
        given = [ids, visible, positions, torch.tensor(caption.prompt_indices)]
        ids, visible, positions, indices = to_device(self._device, given)
        hidden = model.bert(ids, torch.zeros_like(ids), visible, positions)["last_hidden_state"]
        features = model.feat_map(hidden)[0]
        sines = get_sine_pos_embed(positions[0, :, None, None], num_pos_feats=features.shape[1], exchange_xy=False)
        text = TextFeatures(features, sines[:, 0], visible[0])
        return _CaptionFeatures(caption, text, indices)

    def _detect(
        self, image: Picture, captions: Sequence[_CaptionFeatures], prompts: int, scale: float, precision: str
    ) -> PromptScores:
        with autocast(self._device, precision):
            encoded = self._encode_image(image, scale)
            boxes, scores = zip(*(self._decode(*encoded, caption, prompts) for caption in captions), strict=True)
        height, width = image.shape[:2]
        corners, found_scores = to_cpu(box_convert(torch.cat(boxes).float(), "cxcywh", "xyxy"), torch.cat(scores))
        corners = corners * torch.tensor([width, height, width, height])
        found_by = np.repeat(np.arange(len(captions)), [len(one) for one in boxes])
        found = PromptScores(corners.numpy(), found_scores.numpy(), found_by)
        _check_finite(found, precision)
        return found

    def _encode_image(self, image: Picture, scale: float) -> tuple[Tensor, Layout]:
        """The middle of upstream's forward, which no caption changes: features of all pixels, and where they are."""
        sides = round(scale * self._config.short_side), round(scale * self._config.long_side)
        pixels = preprocess(image, *sides, self._device)
        levels = self._backbone(pixels, stages=self._stages(pixels.shape[1], pixels.shape[2]))
        return as_pixels(levels), self._layout(tuple((level.shape[2], level.shape[3]) for level in levels))

    def _run_backbone(self, pixels: Tensor, stages: Stages) -> tuple[Tensor, ...]:
        """The feature levels [1, C, h, w] of a picture [3, h, w], finest first."""
        model = self._model
        maps = model.backbone[0](pixels, stages)
        levels = [project(each) for project, each in zip(model.input_proj, maps, strict=False)]
        coarsest = maps[-1]
        for project in model.input_proj[len(maps) :]:
            coarsest = project(coarsest)
            levels.append(coarsest)
        return tuple(levels)

    def _stages(self, height: int, width: int) -> Stages:
        with self._lock:
            if (height, width) not in self._cut:
                self._cut[height, width] = self._model.backbone[0].stages(height, width, self._device)
            return self._cut[height, width]

    def _layout(self, shapes: Shapes) -> Layout:
        with self._lock:
            if shapes not in self._layouts:
                self._layouts[shapes] = self._new_layout(shapes)
            return self._layouts[shapes]

    def _new_layout(self, shapes: Shapes) -> Layout:
        model = self._model
        unpadded = [torch.zeros(1, *shape, dtype=torch.bool, device=self._device) for shape in shapes]
        positions = [model.backbone[1](NestedTensor(each, each)) for each in unpadded]
        layout: Layout = model.transformer.lay_out(positions)
        return layout

    def _decode(self, pixels: Tensor, layout: Layout, encoded: _CaptionFeatures, prompts: int) -> tuple[Tensor, Tensor]:
        """The last part of upstream's forward: boxes cxcywh in 0..1 [Q, 4] and scores [Q, ``prompts``]."""
        text = encoded.text
        boxes, logits = self._transformer(pixels, text.features, text.positions, text.visible, layout=layout)
        scores = logits.new_zeros(len(boxes), prompts, dtype=torch.float32)
        scores[:, encoded.prompt_indices] = span_scores(logits.float(), encoded.caption.spans)
        return boxes, scores

    def _run_transformer(self, pixels: Tensor, *text: Tensor, layout: Layout) -> tuple[Tensor, ...]:
        """Boxes and token logits, from the features of pixels and the tensors of ``TextFeatures``."""
        boxes, logits = self._model.transformer(pixels, layout, TextFeatures(*text))
        return boxes, logits


def _check_finite(found: PromptScores, precision: str) -> None:
    """Raise FloatingPointError for NaN or Infinity, which no threshold would pass: the answer would look empty."""
    if not (np.isfinite(found.boxes_xyxy).all() and np.isfinite(found.scores).all()):
        raise FloatingPointError(
            f"the model's boxes or scores are NaN or infinite at precision {precision}: try fp32, or check its weights"
        )


def use_fast_layers(model: upstream.GroundingDINO, precision: str = "fp32") -> upstream.GroundingDINO:
    """Give upstream's model, in evaluation mode and on the device where it stays, faster parts of the same meaning.

    ``precision`` is the one it will run in (``models.runtime.precision``).
    """
    model.backbone[0] = FastSwin(model.backbone[0])
    model.input_proj = nn.ModuleList(InFloat32(projection) for projection in model.input_proj)
    model.transformer = FastTransformer(model.transformer)
    for part in (model.backbone, model.transformer):
        pack_linears(part, model.feat_map.weight.device, numbers(precision))
    return model


def span_scores(logits: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """How well prompts describe boxes, float [Q, P] in 0..1: token logits [Q, T] pooled over each span [start, stop).

    The score is the mean of the sigmoids of the prompt's own tokens, as in upstream's evaluation on COCO
    (demo/test_ap_on_coco.py). A box whose score reaches a threshold always passes upstream's ``box_threshold`` of the
    same value, which is held against the maximum over all tokens of the caption; upstream's ``text_threshold``, which
    chooses the tokens that it decodes into a phrase, has no counterpart: no phrase is decoded.
    """
    return torch.stack([logits[:, start:stop].sigmoid().mean(1) for start, stop in spans], 1)
