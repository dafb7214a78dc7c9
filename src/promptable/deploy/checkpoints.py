"""The files of official checkpoints, for both sides of a build; without torch."""

import hashlib
from pathlib import Path

from promptable.models.catalogue import BERT_VOCABULARY, OFFICIAL, Download


def needed(model: str) -> list[Download]:
    """The files of an official model; of a model folder none is official."""
    if model not in OFFICIAL:
        return []
    return [OFFICIAL[model], *([BERT_VOCABULARY] if model.startswith("swin") else [])]


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
