"""How well queries fit tokens, in MM-Grounding-DINO's way (arXiv:2401.02361, section 2.2)."""

from math import sqrt
from typing import Any

import torch
from groundingdino.models.GroundingDINO.utils import ContrastiveEmbed
from torch import Tensor, nn


class ScaledContrastiveEmbed(ContrastiveEmbed):  # type: ignore[misc]
    """Upstream's logits divided by the square root of the channels, plus one learned bias.

    Neither changes which pixels fit best: queries are chosen by upstream's plain products.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, text_dict: dict[str, Any]) -> Tensor:
        """Logits [B, Q, 256] of queries [B, Q, C], -inf where there is no token; ``text_dict`` as upstream's."""
        logits: Tensor = super().forward(x / sqrt(x.shape[-1]), text_dict)
        return logits + self.bias
