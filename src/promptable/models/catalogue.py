"""Every official model once: where it is published and what its bytes must hash to. Importable without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

AUTO = "auto"
"""The value of a setting that leaves the choice to the function or to deploy.sh."""


@dataclass(frozen=True)
class Download:
    """A file published by a model's authors: its URL and the SHA-256 of its bytes, in hex."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


_DINO = "https://github.com/IDEA-Research/GroundingDINO/releases/download"
_META = "https://dl.fbaipublicfiles.com"

OFFICIAL: Mapping[str, Download] = MappingProxyType(
    {
        "swin-t": Download(
            f"{_DINO}/v0.1.0-alpha/groundingdino_swint_ogc.pth",
            "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
        ),
        "swin-b": Download(
            f"{_DINO}/v0.1.0-alpha2/groundingdino_swinb_cogcoor.pth",
            "46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
        ),
        "vit_h": Download(
            f"{_META}/segment_anything/sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
        "vit_l": Download(
            f"{_META}/segment_anything/sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        "vit_b": Download(
            f"{_META}/segment_anything/sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        "sam2.1-tiny": Download(
            f"{_META}/segment_anything_2/092824/sam2.1_hiera_tiny.pt",
            "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        ),
        "sam2.1-small": Download(
            f"{_META}/segment_anything_2/092824/sam2.1_hiera_small.pt",
            "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        ),
        "sam2.1-base-plus": Download(
            f"{_META}/segment_anything_2/092824/sam2.1_hiera_base_plus.pt",
            "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        ),
        "sam2.1-large": Download(
            f"{_META}/segment_anything_2/092824/sam2.1_hiera_large.pt",
            "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        ),
    }
)

BERT_VOCABULARY = Download(
    "https://huggingface.co/google-bert/bert-base-uncased/resolve/main/vocab.txt",
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
)
"""What the official Grounding DINO reads prompts with; it lies beside the checkpoint."""


def sam2_model(device: str) -> str:
    """The SAM 2.1 that answers a click within a second or so on this kind of device, ``cpu`` or ``cuda``."""
    return "sam2.1-large" if device.startswith("cuda") else "sam2.1-tiny"
