"""MM-Grounding-DINO, and LLMDet, which is that architecture with other training, run by our Grounding DINO.

They differ from it in the decoder's heads alone: each layer has a box head of its own, and logits are scaled and biased
(``ScaledContrastiveEmbed``). Boxes and scores are those of transformers' ``MMGroundingDinoForObjectDetection``.
"""

from pathlib import Path

from torch import nn

from promptable.models.catalogue import BERT_VOCABULARY
from promptable.models.errors import ModelError
from promptable.models.grounding_dino.detector import GroundingDINO, use_fast_layers
from promptable.models.grounding_dino.text_encoder import load_tokenizer
from promptable.models.mm_grounding_dino.build import PRESETS, build, read_config
from promptable.models.mm_grounding_dino.names import translated
from promptable.models.runtime import initialisation
from promptable.models.weights import ModelFiles, fill, load_state_dict, locate


def load(
    model: str, weights_dir: Path, device: str, precision: str = "fp32", cuda_graphs: bool = False
) -> GroundingDINO:
    """The detector of an official name (``llmdet-large``) or of a folder as transformers' ``save_pretrained`` makes.

    BERT's vocabulary lies beside the weights as ``vocab.txt``. Raises FileNotFoundError where a file is missing,
    ModelError where they do not fit together.
    """
    files = locate(model, weights_dir)
    config = PRESETS[files.name] if files.config is None else read_config(files.config)
    vocabulary_sha256 = BERT_VOCABULARY.sha256 if files.config is None else None
    tokenizer = load_tokenizer(files.folder / BERT_VOCABULARY.file_name, vocabulary_sha256)
    with initialisation.left_out():
        network = build(config, tokenizer)
    _load_published(network, files)
    return GroundingDINO(use_fast_layers(network.to(device), precision), config.network, precision, cuda_graphs)


def _load_published(network: nn.Module, files: ModelFiles) -> None:
    published = load_state_dict(files.weights, files.sha256)
    try:
        state = translated(published, network.state_dict())
    except ValueError as error:
        raise ModelError(f"{files.weights} does not fit its configuration: {error}") from None
    fill(network, state, files)
