"""A model folder of the admin's own, on its way into an image."""

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from promptable.deploy.errors import DeployError
from promptable.deploy.rendering.target import WEIGHTS_DIR
from promptable.models import catalogue
from promptable.models.catalogue import CONFIG_FILES, WEIGHTS_FILE
from promptable.models.checksum import sha256_of

_DIGITS = 12


@dataclass(frozen=True)
class OwnModel:
    """A folder with ``model.safetensors`` and ``config.json`` or ``config.yaml``."""

    folder: Path

    @property
    def files(self) -> list[Path]:
        """What goes into the image: the folder's own files, without hidden ones and without what is below."""
        return sorted(file for file in self.folder.iterdir() if file.is_file() and not file.name.startswith("."))

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.stat().st_size for file in self.files)

    @cached_property
    def name(self) -> str:
        """The folder's name with the fingerprint of its files: other content is another model."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.name} {sha256_of(file)}\n".encode())
        return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', self.folder.name)}-{digest.hexdigest()[:_DIGITS]}"

    @property
    def place(self) -> str:
        """The folder in the container."""
        return f"{WEIGHTS_DIR}/{self.name}"


def own_model(model: str) -> OwnModel | None:
    """The folder that ``--model`` names; None for an official model, or none. Raises DeployError."""
    if not model or model in catalogue.OFFICIAL:
        return None
    folder = Path(os.path.expanduser(model)).absolute()  # noqa: PTH111 - which leaves a home that nobody knows as it is
    if not folder.is_dir():
        raise DeployError(f"--model: expected a model folder or one of {', '.join(catalogue.OFFICIAL)}, got {model!r}")
    for names in ((WEIGHTS_FILE,), CONFIG_FILES):
        if not any((folder / name).is_file() for name in names):
            raise DeployError(f"--model: the folder {model} holds no {' or '.join(names)}")
    return OwnModel(folder)
