"""Every official model once: its family, where it is published, how large it is. Importable without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

AUTO = "auto"
"""The value of a setting that leaves the choice to the function or to deploy.sh."""


class Task(StrEnum):
    """What a model is loaded for."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    TRACKING = "tracking"


@dataclass(frozen=True)
class Family:
    """Models of one architecture.

    ``adapters`` names, for each task, the module whose ``load(model, weights_dir, device, precision)`` gives the
    ``Detector``, ``Segmenter`` or ``VideoTracker``; ``config`` is the file of sizes in a model folder of this family.
    """

    title: str
    licence: str
    config: str
    adapters: Mapping[Task, str]


@dataclass(frozen=True)
class Download:
    """A file published by a model's authors: its URL, SHA-256 in hex, and size in bytes where it is known."""

    url: str
    sha256: str
    size: int | None

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Checkpoint(Download):
    """The weights of one official model. ``memory_gib`` is what loading them takes: twice their size, in whole GiB.

    ``beside`` are the files that the model needs beside its weights.
    """

    family: Family
    memory_gib: int
    beside: tuple[Download, ...] = ()


_GROUNDING_DINO = Family(
    "Grounding DINO", "Apache-2.0", "config.json", {Task.DETECTION: "promptable.models.grounding_dino.detector"}
)
_SAM = Family("SAM", "Apache-2.0", "config.json", {Task.SEGMENTATION: "promptable.models.sam.segmenter"})
_SAM2 = Family(
    "SAM 2.1",
    "Apache-2.0",
    "config.yaml",
    {Task.SEGMENTATION: "promptable.models.sam2.segmenter", Task.TRACKING: "promptable.models.sam2.video_tracker"},
)
_DINO_RELEASES = "https://github.com/IDEA-Research/GroundingDINO/releases/download"
_META = "https://dl.fbaipublicfiles.com"

BERT_VOCABULARY = Download(
    "https://huggingface.co/google-bert/bert-base-uncased/resolve/main/vocab.txt",
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    231_508,
)
"""What the official Grounding DINO reads prompts with; it lies beside the checkpoint."""


def _dino(file: str, size: int | None, memory_gib: int, sha256: str) -> Checkpoint:
    return Checkpoint(f"{_DINO_RELEASES}/{file}.pth", sha256, size, _GROUNDING_DINO, memory_gib, (BERT_VOCABULARY,))


def _sam(file: str, size: int | None, memory_gib: int, sha256: str) -> Checkpoint:
    return Checkpoint(f"{_META}/segment_anything/sam_{file}.pth", sha256, size, _SAM, memory_gib)


def _sam2(file: str, size: int | None, memory_gib: int, sha256: str) -> Checkpoint:
    return Checkpoint(f"{_META}/segment_anything_2/092824/sam2.1_hiera_{file}.pt", sha256, size, _SAM2, memory_gib)


_ROWS = {
    "swin-t": _dino(
        "v0.1.0-alpha/groundingdino_swint_ogc",
        693_997_677,
        2,
        "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
    ),
    "swin-b": _dino(
        "v0.1.0-alpha2/groundingdino_swinb_cogcoor",
        938_057_991,
        3,
        "46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
    ),
    "vit_b": _sam("vit_b_01ec64", 375_042_383, 1, "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"),
    "vit_l": _sam("vit_l_0b3195", None, 3, "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"),
    "vit_h": _sam("vit_h_4b8939", 2_564_550_879, 6, "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"),
    "sam2.1-tiny": _sam2("tiny", 156_008_466, 1, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
    "sam2.1-small": _sam2("small", 184_416_285, 1, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
    "sam2.1-base-plus": _sam2("base_plus", None, 1, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
    "sam2.1-large": _sam2("large", 898_083_611, 2, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
}
OFFICIAL: Mapping[str, Checkpoint] = MappingProxyType(_ROWS)


def names(task: Task) -> tuple[str, ...]:
    """The official models that can do this."""
    return tuple(name for name, checkpoint in OFFICIAL.items() if task in checkpoint.family.adapters)


def sam2_model(device: str) -> str:
    """The SAM 2.1 that answers a click within a second or so on this kind of device, ``cpu`` or ``cuda``."""
    return "sam2.1-large" if device.startswith("cuda") else "sam2.1-tiny"
