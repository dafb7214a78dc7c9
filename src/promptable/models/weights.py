"""Where a model's weights lie, and how they are read: never unpickled into code, never used unverified."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from pickle import UnpicklingError
from typing import TypeVar, get_type_hints
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from promptable.models import catalogue
from promptable.models.catalogue import CONFIG_FILES, WEIGHTS_FILE
from promptable.models.checksum import sha256_of
from promptable.models.errors import ModelError

Sizes = TypeVar("Sizes")

_FINGERPRINT_DIGITS = 16
_KINDS: Mapping[object, str] = {
    int: "a whole number",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
}
"""The types of sizes, in words."""


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
    if model in catalogue.OFFICIAL:
        return _official(model, weights_dir)
    folder = Path(model)
    if not folder.is_dir():
        raise FileNotFoundError(f"unknown model {model!r}: expected a folder or one of {', '.join(catalogue.OFFICIAL)}")
    config = next((folder / name for name in CONFIG_FILES if (folder / name).is_file()), None)
    if config is None:
        raise FileNotFoundError(f"model folder {folder} holds none of {', '.join(CONFIG_FILES)}")
    weights = _existing(folder / WEIGHTS_FILE, "every model folder must hold its weights")
    return ModelFiles(folder.resolve().name, folder, weights, None, config)


def _official(model: str, weights_dir: Path) -> ModelFiles:
    checkpoint = catalogue.OFFICIAL[model]
    remedy = f"promptable download {model} --weights {weights_dir}"
    weights = _existing(weights_dir / checkpoint.file_name, remedy)
    return ModelFiles(model, weights_dir, weights, checkpoint.expected_sha256(weights_dir), None)


def _existing(path: Path, remedy: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {remedy}")
    return path


def fingerprint(weights: Path, config: Path | None = None, numbers: str = "") -> str:
    """What tells one model from another: 16 hex digits of its weights, configuration file and kind of numbers."""
    parts = [sha256_of(weights), "" if config is None else sha256_of(config), numbers]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def load_state_dict(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Map weights from a ``.safetensors`` file or a pickled checkpoint of tensors; half precision becomes float32.

    What is mapped takes no memory of its own: workers share the file's pages. Pickles are read with
    ``weights_only=True``; the ``{"model": ...}`` round the official weights is taken off, and the prefix that
    distributed training adds to names. Raises ModelError for a damaged file, for one that holds code, and when
    ``sha256`` is given and the file's differs.
    """
    if sha256 is not None and (actual := sha256_of(path)) != sha256:
        raise ModelError(f"{path} is damaged or not the official file: its SHA-256 is {actual}, expected {sha256}")
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except (SafetensorError, UnpicklingError) as error:
        why, _, _ = str(error).partition(".")  # PyTorch goes on with how to run what a pickle holds all the same
        raise ModelError(f"{path} is damaged, or holds something other than tensors: {why}") from error
    return {
        name.removeprefix("module."): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def _unpickled(path: Path) -> dict[str, Tensor]:
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    tensors: dict[str, Tensor] = loaded.get("model", loaded)
    return tensors


def load_weights(model: nn.Module, files: ModelFiles, unused: Collection[str] = ()) -> None:
    """Give a model its weights, except ``unused`` ones.

    Raises ModelError where they are damaged or not this model's.
    """
    tensors = load_state_dict(files.weights, files.sha256)
    fill(model, {name: tensor for name, tensor in tensors.items() if name not in unused}, files)


def fill(model: nn.Module, tensors: Mapping[str, Tensor], files: ModelFiles) -> None:
    """Give a model exactly these weights, which were read from ``files``, without a copy of them.

    Raises ModelError where they do not fit.
    """
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ModelError(f"{files.weights} does not fit its configuration: {error}") from error


def read_sizes(sizes: type[Sizes], file: Path) -> Sizes:
    """A ``config.json`` as a dataclass, lists as tuples. Raises ModelError that names an unknown or missing key, or one
    of another type than the dataclass's."""
    loaded = json.loads(file.read_text(encoding="utf-8"))
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in loaded.items()}
    try:
        made = sizes(**values)
    except TypeError as error:
        raise ModelError(f"{file}: {error}; the keys are {', '.join(signature(sizes).parameters)}") from error
    for name, kind in get_type_hints(sizes).items():
        if name in values and not _is_a(kind, values[name]):
            raise ModelError(f"{file}: {name} must be {_KINDS[kind]}, got {loaded[name]!r}")
    return made


def _is_a(kind: object, value: object) -> bool:
    if isinstance(value, tuple):
        return kind not in (int, bool) and all(type(each) is int for each in value)
    return type(value) is kind
