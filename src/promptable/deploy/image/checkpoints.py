"""The files of official checkpoints, for both sides of a build; without torch."""

import hashlib
from pathlib import Path

from promptable.models import catalogue
from promptable.models.catalogue import Download


def needed(model: str) -> list[Download]:
    """The files of an official model; of a model folder none is official."""
    checkpoint = catalogue.OFFICIAL.get(model)
    return [checkpoint, *checkpoint.beside] if checkpoint else []


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
