"""SAM's clicks as embeddings, for a GPU that need not be waited for."""

import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import PromptEncoder
from torch import Tensor


def embed_points(encoder: PromptEncoder, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
    """Upstream's ``_embed_points``: [B, P, 2] in pixels of the model's picture, labels [B, P] -> [B, P (+ 1), C].

    ``pad`` adds a point that is none, as upstream does without a box. Upstream writes through masks, for the sizes of
    which a GPU is waited for six times; here the label is an index.
    """
    if pad:
        points, labels = F.pad(points, (0, 0, 0, 1)), F.pad(labels, (0, 1), value=-1)
    placed: Tensor = encoder.pe_layer.forward_with_coords(points + 0.5, encoder.input_image_size)
    kinds = [encoder.not_a_point_embed, encoder.point_embeddings[0], encoder.point_embeddings[1]]
    meanings = torch.cat([kind.weight for kind in kinds])
    return placed.where(labels[..., None] >= 0, 0) + meanings[labels.long() + 1]
