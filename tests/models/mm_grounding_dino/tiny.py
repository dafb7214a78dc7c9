"""transformers' MM-Grounding-DINO with random weights, of a size that runs in milliseconds or of a real one."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertTokenizerFast, MMGroundingDinoConfig, MMGroundingDinoForObjectDetection

from promptable.models.grounding_dino.captions import pack
from promptable.models.grounding_dino.detector import span_scores
from promptable.models.grounding_dino.preprocess import preprocess
from tests.models.grounding_dino.tiny import BERT

_SWIN = {"embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2], "window_size": 3, "image_size": 64}
SIZES: dict[str, Any] = {
    "backbone_config": {"model_type": "swin", "out_indices": [1, 2], **_SWIN},
    "text_config": {"model_type": "bert", **BERT},
    "num_queries": 12,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
SHORT_SIDE, LONG_SIDE = 64, 107


def random_mm(**sizes: Any) -> MMGroundingDinoForObjectDetection:
    """Random weights, also where the usual start is zero, and other box heads in each layer.

    As in trained models logits are about -4 with single tokens that stand out, for which their products have to be
    some ten times larger than at first.
    """
    torch.manual_seed(3)
    separate = {"decoder_bbox_embed_share": False, "decoder_cls_embed_share": False}
    model = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig(**{**separate, **sizes})).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(torch.randn_like(weights) * 0.02)
        for number, head in enumerate(model.class_embed):
            head.bias.fill_(-4.0 - number / 10)
        model.model.decoder.layer_norm.weight.mul_(2)
    return model


def saved(model: MMGroundingDinoForObjectDetection, folder: Path) -> Path:
    """The folder with the model as it would be published."""
    model.save_pretrained(folder)
    return folder


@torch.inference_mode()
def theirs(
    model: MMGroundingDinoForObjectDetection,
    tokenizer: BertTokenizerFast,
    image: NDArray[np.uint8],
    prompts: list[str],
    sides: tuple[int, int] = (SHORT_SIDE, LONG_SIDE),
) -> tuple[Tensor, Tensor]:
    """Boxes xyxy [Q, 4] in pixels and scores [Q, P] of transformers' own forward, for prompts that fit one caption."""
    (caption,) = pack(prompts, tokenizer)
    text = tokenizer(" . ".join(prompts[index] for index in caption.prompt_indices) + " .", return_tensors="pt")
    assert text["input_ids"][0].tolist() == list(caption.input_ids)
    model.model.special_tokens.copy_(torch.tensor(tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", ".", "?"])))
    output = model(pixel_values=preprocess(image, *sides)[None], **text)
    scores = torch.zeros(len(output.pred_boxes[0]), len(prompts))
    scores[:, list(caption.prompt_indices)] = span_scores(output.logits[0], caption.spans)
    centre, size = output.pred_boxes[0].split(2, 1)
    height, width = image.shape[:2]
    return torch.cat([centre - size / 2, centre + size / 2], 1) * torch.tensor([width, height, width, height]), scores
