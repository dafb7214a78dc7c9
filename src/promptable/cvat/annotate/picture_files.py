"""Which pictures a folder holds."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptable.cvat.own_pictures import upright
from promptable.cvat.plural import counted
from promptable.cvat.server.errors import CvatError

_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".png", ".tif", ".tiff", ".webp"),
    *(".jfif", ".jpe", ".jpeg", ".jpg", ".j2k", ".jp2"),
    *(".pbm", ".pgm", ".pnm", ".ppm"),
)
_NAMED = 5
"""Endings of other files that a sentence names."""


def pictures_of(folder: Path) -> list[Path]:
    """The pictures in a folder and below, in order.

    Raises CvatError where there are none, or no folder, and for a name that is not UTF-8: neither a page nor COCO could
    hold it.
    """
    if not folder.is_dir():
        raise CvatError(f"there is no folder {folder}")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS)
    if not files:
        raise CvatError(f"{folder} holds no pictures ({', '.join(_ENDINGS)})")
    for file in files:
        if (name := str(file)) != name.encode(errors="replace").decode():
            raise CvatError(f"{name!a} is not named in UTF-8: rename it, or move it elsewhere")
    return files


def other_files(folder: Path) -> Iterator[str]:
    """What a folder holds beside pictures and hidden files, in a sentence."""
    others = [file for file in folder.rglob("[!.]*") if file.is_file() and file.suffix.lower() not in _ENDINGS]
    if others:
        endings = sorted({file.suffix.lower() or file.name for file in others})
        named = ", ".join(endings[:_NAMED]) + (" ..." if len(endings) > _NAMED else "")
        yield f"{counted(len(others), 'file')} of other kinds ({named})"


def read_picture(file: Path) -> bytes:
    """The bytes of a picture that is upright. Raises CvatError of status 400 for a file that cannot be read."""
    try:
        return upright(file.read_bytes())
    except OSError as error:
        raise CvatError(str(error.strerror), 400) from None


def digest_of(files: Sequence[Path]) -> str:
    """Tells lists of pictures apart, by their paths, sizes and times: a resumed run is over the same ones."""
    return hashlib.sha256("\n".join(map(_state, files)).encode()).hexdigest()[:16]


def _state(file: Path) -> str:
    try:
        known = file.stat()
    except OSError:  # it will be named as one that cannot be read
        return str(file)
    return f"{file.resolve()} {known.st_size} {known.st_mtime_ns}"
