"""The checkpoints of one image, each with its SHA-256 checked. Runs inside the image while it is built.

``python -m promptable.deploy.image.weights [MODEL...] --local DIR --cache DIR --into DIR``: a MODEL is an official
name, or the name of a model folder in ``--local``.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptable.models.catalogue import Download, files_of
from promptable.models.checksum import sha256_of
from promptable.models.download import download

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


def collect(models: Sequence[str], local: Path, cache: Path, into: Path) -> list[Path]:
    """Put the files of ``models`` into ``into``: from ``local`` where they lie there, else from ``cache`` or the net.

    Only what has been verified is copied. Raises ValueError for an unknown model or a damaged file, RuntimeError with
    the remedy for a download that fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    return [copy for model in models for copy in _collected(model, local, cache, into)]


def _collected(model: str, local: Path, cache: Path, into: Path) -> Iterator[Path]:
    sources = files_of(model)
    if not sources:
        yield _own(model, local, into)
        return
    for source in sources:
        if (local / source.file_name).is_file():
            _copy(source, local, cache)
        else:
            _forget_damaged(source, cache)
    _download(model, cache)
    yield from (_copy(source, cache, into) for source in sources)


def _own(model: str, local: Path, into: Path) -> Path:
    if not (local / model).is_dir():
        raise ValueError(f"{model!r} is no official model, and no folder of this name was given with --model")
    copied = Path(shutil.copytree(local / model, into / model, dirs_exist_ok=True))
    for path in (copied, *copied.rglob("*")):  # the container's user is not the admin who wrote them
        path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)
    return copied


def _copy(source: Download, folder: Path, into: Path) -> Path:
    """Copy a file that is what its authors published, with the record of it; what is damaged is copied nowhere."""
    actual, expected = sha256_of(folder / source.file_name), source.expected_sha256(folder)
    if expected is not None and actual != expected:
        raise ValueError(
            f"{source.file_name} is damaged or not the official file: SHA-256 {actual}, expected {expected}"
        )
    if (folder / source.record_name).is_file():
        shutil.copyfile(folder / source.record_name, into / source.record_name)
    return Path(shutil.copyfile(folder / source.file_name, into / source.file_name))


def _forget_damaged(source: Download, cache: Path) -> None:
    """A download that broke off in an earlier build must not fail this one too."""
    file = cache / source.file_name
    if file.is_file() and sha256_of(file) != source.expected_sha256(cache):
        file.unlink()


def _download(model: str, cache: Path) -> None:
    """Fetch what is missing in the cache. Raises RuntimeError with the file and the remedy."""
    if all((cache / source.file_name).is_file() for source in files_of(model)):
        return
    try:
        download(model, cache)
    except (OSError, RuntimeError) as error:
        what, _, _ = str(error).partition(". ")  # further sentences are for `promptable download`
        files = ", ".join(f"{source.file_name} ({source.url})" for source in files_of(model))
        raise RuntimeError(
            f"the download of {model} failed: {what}. Fetch {files} elsewhere into a folder and give it with"
            " --weights DIR; behind a proxy set HTTPS_PROXY, and --ca FILE for a certificate of its own"
        ) from error


def main() -> int:
    """Collect what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="promptable.deploy.image.weights", description=__doc__)
    parser.add_argument("models", nargs="*")
    for folder in ("--local", "--cache", "--into"):
        parser.add_argument(folder, type=Path, required=True, metavar="DIR")
    parsed = parser.parse_args()
    try:
        for file in collect(parsed.models, parsed.local, parsed.cache, parsed.into):
            sys.stdout.write(f"{file}\n")
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
