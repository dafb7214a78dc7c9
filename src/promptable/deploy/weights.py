"""The checkpoints of one image, each with its SHA-256 checked. Runs inside the image while it is built."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from promptable.models.catalogue import BERT_VOCABULARY, OFFICIAL
from promptable.models.weights import download, sha256_of

_SHA256 = {source.file_name: source.sha256 for source in (*OFFICIAL.values(), BERT_VOCABULARY)}


def collect(models: Sequence[str], local: Path, cache: Path, into: Path) -> list[Path]:
    """Put the files of ``models`` into ``into``: from ``local`` where they lie there, else from ``cache`` or the net.

    Raises ValueError for an unknown model or a damaged file, RuntimeError and OSError from the download.
    """
    into.mkdir(parents=True, exist_ok=True)
    for file in local.iterdir():
        if file.name in _SHA256:
            shutil.copyfile(file, cache / file.name)
    return [_verified(file, into) for model in models for file in download(model, cache)]


def _verified(file: Path, into: Path) -> Path:
    actual, expected = sha256_of(file), _SHA256[file.name]
    if actual != expected:
        file.unlink()
        raise ValueError(f"{file.name} is damaged or not the official file: SHA-256 {actual}, expected {expected}")
    return Path(shutil.copyfile(file, into / file.name))
