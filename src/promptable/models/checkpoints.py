"""Where a model's weights lie, and how they are read: never unpickled into code, never used unverified."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import load_file
from torch import Tensor


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

WEIGHTS_FILE = "model.safetensors"
_CONFIG_FILES = ("config.json", "config.yaml")
_FINGERPRINT_DIGITS = 16
_READABLE = 0o644  # torch.hub leaves downloads to their owner alone


@dataclass(frozen=True)
class ModelFiles:
    """One model on disk. ``config`` is None for official names, whose architecture is known by the name.

    ``folder`` holds the files beside the weights (a vocabulary, say); ``sha256``, where known, is what the weights must
    hash to.
    """

    name: str
    folder: Path
    weights: Path
    sha256: str | None
    config: Path | None


def locate(model: str, weights_dir: Path) -> ModelFiles:
    """Find the files of ``model``: an official name, or a folder with ``config.json|yaml`` and ``model.safetensors``.

    The weights of official names lie in ``weights_dir`` under the file name of their download.
    Raises FileNotFoundError with the remedy where a file is missing.
    """
    if model in OFFICIAL:
        return _official(model, weights_dir)
    folder = Path(model)
    if not folder.is_dir():
        raise FileNotFoundError(f"unknown model {model!r}: expected a folder or one of {', '.join(OFFICIAL)}")
    config = next((folder / name for name in _CONFIG_FILES if (folder / name).is_file()), None)
    if config is None:
        raise FileNotFoundError(f"model folder {folder} holds none of {', '.join(_CONFIG_FILES)}")
    weights = _existing(folder / WEIGHTS_FILE, "every model folder must hold its weights")
    return ModelFiles(folder.resolve().name, folder, weights, None, config)


def _official(model: str, weights_dir: Path) -> ModelFiles:
    download = OFFICIAL[model]
    weights = _existing(weights_dir / download.file_name, f"download it from {download.url}")
    return ModelFiles(model, weights_dir, weights, download.sha256, None)


def download(model: str, weights_dir: Path) -> list[Path]:
    """Fetch what an official model needs into ``weights_dir``, with a progress bar; files that are there are kept.

    Raises ValueError for an unknown name or a damaged file, RuntimeError for a damaged download.
    """
    if model not in OFFICIAL:
        raise ValueError(f"unknown model {model!r}: expected one of {', '.join(OFFICIAL)}")
    weights_dir.mkdir(parents=True, exist_ok=True)
    sources = [OFFICIAL[model], *([BERT_VOCABULARY] if model.startswith("swin") else [])]
    return [_fetch(source, weights_dir / source.file_name) for source in sources]


def _fetch(source: Download, target: Path) -> Path:
    if not target.is_file():
        torch.hub.download_url_to_file(source.url, str(target), hash_prefix=source.sha256)
        target.chmod(_READABLE)
    elif sha256_of(target) != source.sha256:
        raise ValueError(f"{target} is damaged or not the official file: remove it and download it again")
    return target


def _existing(path: Path, remedy: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {remedy}")
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(weights: Path, config: Path | None = None, numbers: str = "") -> str:
    """What tells one model from another: 16 hex digits of its weights, configuration file and kind of numbers."""
    parts = [sha256_of(weights), "" if config is None else sha256_of(config), numbers]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def load_state_dict(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read weights from a ``.safetensors`` file or a pickled checkpoint of tensors; half precision becomes float32.

    Pickles are read with ``weights_only=True``; the ``{"model": ...}`` round the official weights is taken off.
    Raises ValueError when ``sha256`` is given and the file's differs.
    """
    if sha256 is not None and (actual := sha256_of(path)) != sha256:
        raise ValueError(f"{path} is damaged or not the official file: its SHA-256 is {actual}, expected {sha256}")
    if path.suffix == ".safetensors":
        tensors = load_file(path)
    else:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        tensors = loaded.get("model", loaded)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
