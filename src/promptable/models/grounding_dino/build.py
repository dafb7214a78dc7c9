"""Grounding DINO's sizes, and how it is put together from upstream's classes without downloading anything."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from unittest.mock import patch

from groundingdino.models.GroundingDINO import groundingdino as upstream
from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
from groundingdino.models.GroundingDINO.backbone.position_encoding import PositionEmbeddingSineHW
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
from groundingdino.models.GroundingDINO.transformer import Transformer
from transformers import BertModel, PreTrainedTokenizerBase

from promptable.models.errors import ModelError
from promptable.models.grounding_dino.text_encoder import TextEncoder

_HIDDEN_DIM = 256  # upstream writes this number into its sine embeddings: no other width runs


@dataclass(frozen=True)
class GroundingDinoConfig:
    """Sizes of a Grounding DINO, named as in upstream's ``groundingdino/config/*.py`` and its table of Swins.

    The official models share the defaults. ``return_interm_indices`` are the Swin stages whose maps are used; levels
    beyond these are made by strided convolutions. Pictures are resized so that their shorter side is ``short_side``
    pixels, or less where the longer one would pass ``long_side``.
    """

    swin_embed_dim: int
    swin_depths: tuple[int, ...]
    swin_num_heads: tuple[int, ...]
    swin_window_size: int
    return_interm_indices: tuple[int, ...] = (1, 2, 3)
    num_feature_levels: int = 4
    enc_layers: int = 6
    dec_layers: int = 6
    dim_feedforward: int = 2048
    nheads: int = 8
    num_queries: int = 900
    enc_n_points: int = 4
    dec_n_points: int = 4
    embed_init_tgt: bool = True
    dec_pred_bbox_embed_share: bool = True
    short_side: int = 800
    long_side: int = 1333


SWIN_T = GroundingDinoConfig(96, (2, 2, 6, 2), (3, 6, 12, 24), 7)
SWIN_B = GroundingDinoConfig(128, (2, 2, 18, 2), (4, 8, 16, 32), 12)
PRESETS: Mapping[str, GroundingDinoConfig] = MappingProxyType({"swin-t": SWIN_T, "swin-b": SWIN_B})


def build(config: GroundingDinoConfig, bert: BertModel, tokenizer: PreTrainedTokenizerBase) -> upstream.GroundingDINO:
    """Upstream's model around this text encoder and tokenizer, with random weights, in evaluation mode.

    Raises ModelError for a vocabulary of another length than the text encoder's: tokens would mean other words.
    """
    if len(tokenizer) != bert.config.vocab_size:
        raise ModelError(
            f"vocab.txt has {len(tokenizer)} tokens, the model's text encoder {bert.config.vocab_size}: it is another's"
        )
    with _text_parts(bert, tokenizer):
        model = upstream.GroundingDINO(
            _backbone(config),
            _transformer(config),
            num_queries=config.num_queries,
            iter_update=True,
            query_dim=4,
            num_feature_levels=config.num_feature_levels,
            nheads=config.nheads,
            dec_pred_bbox_embed_share=config.dec_pred_bbox_embed_share,
            two_stage_type="standard",
            two_stage_bbox_embed_share=False,
            two_stage_class_embed_share=False,
        )
    return model.eval()


@contextmanager
def _text_parts(bert: BertModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Upstream's constructor downloads its tokenizer and BERT and takes no others: meanwhile it is given these."""
    with (
        patch.object(upstream.get_tokenlizer, "get_tokenlizer", lambda _: tokenizer),
        patch.object(upstream.get_tokenlizer, "get_pretrained_language_model", lambda _: bert),
        patch.object(upstream, "BertModelWarper", TextEncoder),
    ):
        yield


def _backbone(config: GroundingDinoConfig) -> Joiner:
    swin = SwinTransformer(
        embed_dim=config.swin_embed_dim,
        depths=list(config.swin_depths),
        num_heads=list(config.swin_num_heads),
        window_size=config.swin_window_size,
        drop_path_rate=0.0,
        out_indices=config.return_interm_indices,
    )
    position = PositionEmbeddingSineHW(_HIDDEN_DIM // 2, temperatureH=20, temperatureW=20, normalize=True)
    joined = Joiner(swin, position)
    joined.num_channels = [swin.num_features[index] for index in config.return_interm_indices]
    return joined


def _transformer(config: GroundingDinoConfig) -> Transformer:
    return Transformer(
        d_model=_HIDDEN_DIM,
        nhead=config.nheads,
        num_queries=config.num_queries,
        num_encoder_layers=config.enc_layers,
        num_decoder_layers=config.dec_layers,
        dim_feedforward=config.dim_feedforward,
        return_intermediate_dec=True,
        num_feature_levels=config.num_feature_levels,
        enc_n_points=config.enc_n_points,
        dec_n_points=config.dec_n_points,
        learnable_tgt_init=True,
        two_stage_type="standard",
        embed_init_tgt=config.embed_init_tgt,
        use_text_enhancer=True,
        use_fusion_layer=True,
        use_text_cross_attention=True,
        text_dropout=0.0,
        fusion_dropout=0.0,
    )
