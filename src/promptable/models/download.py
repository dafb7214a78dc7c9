"""Official checkpoints from where their authors publish them, or from a mirror. Without torch."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from promptable.models import catalogue
from promptable.models.catalogue import Download

_READABLE = 0o644
_TIMEOUT = httpx.Timeout(30.0)


class DownloadError(RuntimeError):
    """A file could not be fetched, or is not the official one: the message names it and says what to do."""


def download(model: str, weights_dir: Path, mirror: str = "") -> list[Path]:
    """Fetch what an official model needs into ``weights_dir``, with a progress bar; files that are there are kept.

    One that broke off goes on where it stopped. ``mirror`` is the URL of a folder that holds the files under their own
    names. Proxies and certificate authorities are those of the environment (``HTTPS_PROXY``, ``SSL_CERT_FILE``).
    Raises ValueError for an unknown model or a damaged file that is there, DownloadError, OSError.
    """
    if model not in catalogue.OFFICIAL:
        raise ValueError(f"unknown model {model!r}: expected one of {', '.join(catalogue.OFFICIAL)}")
    weights_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = catalogue.OFFICIAL[model]
    return [_present(source, weights_dir / source.file_name, mirror) for source in (checkpoint, *checkpoint.beside)]


def _present(source: Download, target: Path, mirror: str) -> Path:
    if not target.is_file():
        _fetch(source, target, f"{mirror.rstrip('/')}/{source.file_name}" if mirror else source.url)
    elif sha256_of(target) != source.sha256:
        raise ValueError(f"{target} is damaged or not the official file: remove it and download it again")
    return target


def _fetch(source: Download, target: Path, url: str) -> None:
    """Download beside the target, check, then rename: a file of the right name is always whole."""
    part = target.with_name(f"{target.name}.part")
    try:
        _receive(url, part)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"{target.name} could not be fetched from {url}: {_reason(error)}. The same command goes on where it"
            f" stopped; --mirror URL fetches from elsewhere, or put the file at {target} (SHA-256 {source.sha256})"
        ) from None
    if (actual := sha256_of(part)) != source.sha256:
        part.unlink()
        raise DownloadError(
            f"{url} gave another file than the official {target.name}: SHA-256 {actual}, expected {source.sha256}"
        )
    part.chmod(_READABLE)
    part.rename(target)


def _receive(url: str, part: Path) -> None:
    """Append to ``part`` what of the file is missing; from the start where the server cannot continue."""
    held = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    with httpx.stream("GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True) as response:
        if held and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there
        response.raise_for_status()
        continued = response.status_code == httpx.codes.PARTIAL_CONTENT
        total = int(response.headers.get("Content-Length", 0)) + held * continued
        with part.open("ab" if continued else "wb") as file, _progress(part.stem, held * continued, total) as advance:
            for chunk in response.iter_raw():
                file.write(chunk)
                advance(len(chunk))


@contextmanager
def _progress(name: str, done: int, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(name, completed=done, total=total or None)
        yield lambda count: progress.advance(task, count)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered {error.response.status_code} {error.response.reason_phrase}"
    return str(error) or type(error).__name__


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
