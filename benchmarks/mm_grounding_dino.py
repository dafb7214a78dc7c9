"""MM-Grounding-DINO Swin-T with random weights at its real size, in transformers' own model and in the function's."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_convert
from transformers import MMGroundingDinoConfig, MMGroundingDinoForObjectDetection

from benchmarks import machine
from promptable.models.detection.detector import PromptScores
from promptable.models.grounding_dino.build import SWIN_T
from promptable.models.grounding_dino.captions import pack
from promptable.models.grounding_dino.detector import span_scores
from promptable.models.grounding_dino.preprocess import preprocess
from promptable.models.grounding_dino.text_encoder import load_tokenizer
from promptable.models.mm_grounding_dino.detector import load
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory

Detect = Callable[[NDArray[np.uint8], Sequence[str]], PromptScores]


def ours(folder: Path) -> Detect:
    """The function's model, from the files of a random one; ``folder`` holds a vocabulary."""
    keep_freed_memory()
    _random_model().save_pretrained(folder)
    return load(str(folder), folder, device.resolve("auto"), machine.precision()).detect


def plain(folder: Path) -> Detect:
    """transformers' model on labels that fit one caption, scored as ours."""
    model, tokenizer = _random_model().to(device.resolve("auto")), load_tokenizer(folder / "vocab.txt")
    model.model.special_tokens.copy_(torch.tensor(tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", ".", "?"])))

    @torch.no_grad()
    def detect(image: NDArray[np.uint8], labels: Sequence[str]) -> PromptScores:
        (caption,) = pack(labels, tokenizer)
        pixels = preprocess(image, SWIN_T.short_side, SWIN_T.long_side).to(model.device)
        found = model(pixel_values=pixels[None], input_ids=torch.tensor([caption.input_ids], device=model.device))
        scores = torch.zeros(len(found.logits[0]), len(labels))
        scores[:, list(caption.prompt_indices)] = span_scores(found.logits[0].cpu(), caption.spans)
        height, width = image.shape[:2]
        corners = box_convert(found.pred_boxes[0].cpu(), "cxcywh", "xyxy") * torch.tensor([width, height] * 2)
        return PromptScores(corners.numpy(), scores.numpy(), np.zeros(len(scores), np.int64))

    return detect


def _random_model() -> MMGroundingDinoForObjectDetection:
    torch.manual_seed(0)
    heads = {"decoder_bbox_embed_share": False, "decoder_cls_embed_share": False}
    model = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig(**heads)).eval()
    with torch.no_grad():
        for weights in model.parameters():  # many of which are zero or one at first, and would hide errors
            weights.add_(torch.randn_like(weights) * 0.02)
    return model
