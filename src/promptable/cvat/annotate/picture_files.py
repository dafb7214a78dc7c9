"""Which pictures a folder holds."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from promptable.cvat.server.errors import CvatError

_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    *(".j2k", ".jp2"),
    *(".pbm", ".pgm", ".pnm", ".ppm"),
)


def pictures_of(folder: Path) -> list[Path]:
    """The pictures in a folder and below, in order. Raises CvatError where there are none."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS)
    if not files:
        raise CvatError(f"{folder} holds no pictures ({', '.join(_ENDINGS)})")
    return files


def digest_of(files: Sequence[Path]) -> str:
    """Tells lists of pictures apart: a resumed run is over the same ones."""
    return hashlib.sha256("\n".join(str(file.resolve()) for file in files).encode()).hexdigest()[:16]
