"""Every official model once: its family, where it is published, how large it is. Importable without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from promptable.models.errors import ModelError

AUTO = "auto"
"""The value of a setting that leaves the choice to the function or to deploy.sh."""

WEIGHTS_FILE, CONFIG_FILES = "model.safetensors", ("config.json", "config.yaml")
"""What a model folder holds: the weights, and one of the files that describe the architecture (``Family.config``)."""


class Task(StrEnum):
    """What a model is loaded for."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    TRACKING = "tracking"


@dataclass(frozen=True)
class Family:
    """Models of one architecture.

    ``adapters`` names, for each task, the module whose ``load(model, weights_dir, device, precision, cuda_graphs)``
    gives the ``Detector``, ``Segmenter`` or ``VideoTracker``; ``config`` is the file of sizes in a model folder of this
    family, in which ``model_type`` stands under that key, if it is not empty. ``threshold`` is the score from which on
    a detector's box counts, where neither request nor label nor setting says one: that of the examples at
    ``threshold_source``.
    """

    title: str
    licence: str
    config: str
    adapters: Mapping[Task, str]
    model_type: str = ""
    threshold: float = 0.35
    threshold_source: str = ""


@dataclass(frozen=True)
class Download:
    """A file published by a model's authors: its URL, and its SHA-256 in hex and size in bytes where they are known.

    Where no public record gives the SHA-256, what the first download gave is recorded beside the file, in a file that
    ``sha256sum --check`` reads.
    """

    url: str
    sha256: str | None
    size: int | None

    @property
    def file_name(self) -> str:
        """What it is called in a folder of weights."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def record_name(self) -> str:
        """What the record of its SHA-256 is called there, if there has to be one."""
        return f"{self.file_name}.sha256"

    def expected_sha256(self, folder: Path) -> str | None:
        """The published SHA-256, or what is recorded in this folder. Raises ModelError for a record that holds none."""
        record = folder / self.record_name
        if self.sha256 is not None or not record.is_file():
            return self.sha256
        recorded = next(iter(record.read_text(errors="replace").split()), "").lower()
        if not re.fullmatch("[0-9a-f]{64}", recorded):
            raise ModelError(f"{record} holds no SHA-256: put back the one that was there, or remove it")
        return recorded


@dataclass(frozen=True)
class Figure:
    """How good a model is by those who published it: the figure in words, and the URL where it stands."""

    words: str
    source: str


@dataclass(frozen=True)
class Checkpoint(Download):
    """The weights of one official model. ``memory_gib`` is what loading them takes: twice their size, in whole GiB.

    ``beside`` are the files that the model needs beside its weights; ``millions`` is how many parameters it has.
    ``saved_as`` is its file's name where the published one is every model's.
    """

    family: Family
    memory_gib: int
    beside: tuple[Download, ...] = ()
    millions: int | None = None
    figure: Figure | None = None
    saved_as: str = ""

    @property
    def file_name(self) -> str:
        return self.saved_as or super().file_name

    @property
    def files(self) -> tuple[Download, ...]:
        """The weights, and what the model needs beside them."""
        return (self, *self.beside)


_DINO_README = "https://github.com/IDEA-Research/GroundingDINO/blob/main/README.md"
_MM_README = "https://github.com/open-mmlab/mmdetection/blob/main/configs/mm_grounding_dino/README.md"
_LLMDET_README = "https://github.com/iSEE-Laboratory/LLMDet/blob/main/README.md"
_SAM2_README = "https://github.com/facebookresearch/sam2/blob/main/README.md"
_MM_DOCUMENTATION = "https://huggingface.co/docs/transformers/model_doc/mm-grounding-dino"
_DINO_RELEASES = "https://github.com/IDEA-Research/GroundingDINO/releases/download"
_HUGGING_FACE = "https://huggingface.co"
_META = "https://dl.fbaipublicfiles.com"

_GROUNDING_DINO = Family(
    "Grounding DINO",
    "Apache-2.0",
    "config.json",
    {Task.DETECTION: "promptable.models.grounding_dino.detector"},
    threshold=0.35,
    threshold_source=_DINO_README,
)
_MM_GROUNDING_DINO = Family(
    "MM-Grounding-DINO",
    "Apache-2.0",
    "config.json",
    {Task.DETECTION: "promptable.models.mm_grounding_dino.detector"},
    model_type="mm-grounding-dino",
    threshold=0.4,
    threshold_source=_MM_DOCUMENTATION,
)
_LLMDET = replace(_MM_GROUNDING_DINO, title="LLMDet")
_SAM = Family("SAM", "Apache-2.0", "config.json", {Task.SEGMENTATION: "promptable.models.sam.segmenter"})
_SAM2 = Family(
    "SAM 2.1",
    "Apache-2.0",
    "config.yaml",
    {Task.SEGMENTATION: "promptable.models.sam2.segmenter", Task.TRACKING: "promptable.models.sam2.video_tracker"},
)

BERT_VOCABULARY = Download(
    f"{_HUGGING_FACE}/google-bert/bert-base-uncased/resolve/main/vocab.txt",
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    231_508,
)
"""What the official detectors read prompts with; it lies beside the checkpoint."""


def _dino(file: str, size: int, memory_gib: int, millions: int, figure: str, source: str, sha256: str) -> Checkpoint:
    url = f"{_DINO_RELEASES}/{file}.pth"
    shown = Figure(figure, source)
    return Checkpoint(url, sha256, size, _GROUNDING_DINO, memory_gib, (BERT_VOCABULARY,), millions, shown)


def _mm(family: Family, repository: str, memory_gib: int, millions: int, figure: Figure | None = None) -> Checkpoint:
    """A checkpoint of which no public record gives a checksum."""
    url = f"{_HUGGING_FACE}/{repository}/resolve/main/model.safetensors"
    saved_as = f"{repository.rpartition('/')[2]}.safetensors"
    return Checkpoint(url, None, None, family, memory_gib, (BERT_VOCABULARY,), millions, figure, saved_as)


def _sam(file: str, size: int | None, memory_gib: int, millions: int, sha256: str) -> Checkpoint:
    url = f"{_META}/segment_anything/sam_{file}.pth"
    return Checkpoint(url, sha256, size, _SAM, memory_gib, millions=millions)


def _sam2(file: str, size: int | None, memory_gib: int, millions: int, video: float, sha256: str) -> Checkpoint:
    url = f"{_META}/segment_anything_2/092824/sam2.1_hiera_{file}.pt"
    figure = Figure(f"SA-V test {video} J&F", _SAM2_README)
    return Checkpoint(url, sha256, size, _SAM2, memory_gib, millions=millions, figure=figure)


_ROWS = {
    "swin-t": _dino(
        "v0.1.0-alpha/groundingdino_swint_ogc",
        693_997_677,
        2,
        172,
        "LVIS minival 28.8 AP",
        _MM_README,
        "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
    ),
    "swin-b": _dino(
        "v0.1.0-alpha2/groundingdino_swinb_cogcoor",
        938_057_991,
        3,
        233,
        "COCO 56.7 AP (trained on it)",
        _DINO_README,
        "46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
    ),
    "mm-grounding-dino-tiny": _mm(
        _MM_GROUNDING_DINO,
        "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_grit_v3det",
        2,
        173,
        Figure("LVIS minival 41.4 AP", _MM_README),
    ),
    "mm-grounding-dino-base": _mm(
        _MM_GROUNDING_DINO, "openmmlab-community/mm_grounding_dino_base_o365v1_goldg_v3det", 2, 233
    ),
    "mm-grounding-dino-large": _mm(
        _MM_GROUNDING_DINO, "openmmlab-community/mm_grounding_dino_large_o365v2_oiv6_goldg", 3, 343
    ),
    "llmdet-tiny": _mm(_LLMDET, "iSEE-Laboratory/llmdet_tiny", 2, 173, Figure("LVIS minival 44.7 AP", _LLMDET_README)),
    "llmdet-base": _mm(_LLMDET, "iSEE-Laboratory/llmdet_base", 2, 233, Figure("LVIS minival 48.3 AP", _LLMDET_README)),
    "llmdet-large": _mm(
        _LLMDET, "iSEE-Laboratory/llmdet_large", 3, 343, Figure("LVIS minival 51.1 AP", _LLMDET_README)
    ),
    "vit_b": _sam(
        "vit_b_01ec64", 375_042_383, 1, 94, "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
    ),
    "vit_l": _sam("vit_l_0b3195", None, 3, 312, "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"),
    "vit_h": _sam(
        "vit_h_4b8939", 2_564_550_879, 6, 641, "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
    ),
    "sam2.1-tiny": _sam2(
        "tiny", 156_008_466, 1, 39, 76.5, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"
    ),
    "sam2.1-small": _sam2(
        "small", 184_416_285, 1, 46, 76.6, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"
    ),
    "sam2.1-base-plus": _sam2(
        "base_plus", None, 1, 81, 78.2, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"
    ),
    "sam2.1-large": _sam2(
        "large", 898_083_611, 2, 224, 79.5, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"
    ),
}
OFFICIAL: Mapping[str, Checkpoint] = MappingProxyType(_ROWS)


def files_of(model: str) -> tuple[Download, ...]:
    """The files of an official model; of a model folder none is official."""
    checkpoint = OFFICIAL.get(model)
    return checkpoint.files if checkpoint else ()


def names(task: Task) -> tuple[str, ...]:
    """The names of the official models for a task."""
    return tuple(name for name, checkpoint in OFFICIAL.items() if task in checkpoint.family.adapters)


def sam2_model(device: str) -> str:
    """The SAM 2.1 that answers a click within a second or so on this kind of device, ``cpu`` or ``cuda``."""
    return "sam2.1-large" if device.startswith("cuda") else "sam2.1-tiny"
