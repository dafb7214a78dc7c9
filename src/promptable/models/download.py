"""Official checkpoints from where their authors publish them, or from a mirror. Without torch.

For some files no checksum is published: the SHA-256 of the first download is recorded, and later ones must have it.
"""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from safetensors import SafetensorError, safe_open

from promptable.models import catalogue
from promptable.models.catalogue import Download
from promptable.models.checksum import sha256_of

_log = logging.getLogger(__name__)

_READABLE = 0o644
_HOSTS_RECORD = "X-Linked-ETag"
"""The header in which Hugging Face says the SHA-256 of a large file."""
_ENVIRONMENT = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables of the environment that httpx reads."""
_TIMEOUT = httpx.Timeout(30.0)


class DownloadError(RuntimeError):
    """A file could not be fetched, or is not the official one: the message names it and says what to do."""


def download(model: str, weights_dir: Path, mirror: str = "") -> list[Path]:
    """Fetch what an official model needs into ``weights_dir``, with a progress bar; files that are there are kept.

    One that broke off goes on where it stopped, one that another process fetches is waited for. ``mirror`` is the URL
    of a folder that holds the files under their own names. Proxies and certificate authorities are those of the
    environment (``HTTPS_PROXY``, ``SSL_CERT_FILE``).
    Raises ValueError for an unknown model or a damaged file that is there, DownloadError, OSError.
    """
    if model not in catalogue.OFFICIAL:
        raise ValueError(f"unknown model {model!r}: expected one of {', '.join(catalogue.OFFICIAL)}")
    weights_dir.mkdir(parents=True, exist_ok=True)
    files = catalogue.OFFICIAL[model].files
    return [_present(source, weights_dir / source.file_name, mirror) for source in files]


def _present(source: Download, target: Path, mirror: str) -> Path:
    expected = source.expected_sha256(target.parent)
    if not target.is_file():
        with _alone(part := target.with_name(f"{target.name}.part")):
            if not target.is_file():
                _fetch(source, target, part, f"{mirror.rstrip('/')}/{source.file_name}" if mirror else source.url)
    elif expected is None and _is_whole(target, target.suffix):
        _record(source, target)
    elif sha256_of(target) != expected:
        raise ValueError(f"{target} is damaged or not the official file: remove it and download it again")
    return target


def _is_whole(file: Path, suffix: str) -> bool:
    """Whether a file of this suffix can be one: where no checksum is known, nothing else tells it from a part of it, or
    from a proxy's page. Only a ``.safetensors`` says how long it is."""
    if suffix != ".safetensors":
        return True
    try:
        with safe_open(file, framework="np"):
            return True
    except SafetensorError:
        return False


def _record(source: Download, file: Path) -> None:
    """Write down and log the SHA-256 of a file that could not be compared with anything."""
    sha256, record = sha256_of(file), file.with_name(source.record_name)
    part = record.with_name(f"{record.name}.part")
    part.write_text(f"{sha256}  {file.name}\n")
    part.replace(record)  # half a record would refuse the file
    _log.warning(
        "%s: no public record gives its checksum. Its SHA-256 is %s, recorded in %s and checked from now on",
        file.name,
        sha256,
        record,
    )


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """While the block runs, no other process writes to ``part``: two would mix their bytes."""
    with part.open("ab") as held:
        with suppress(OSError):  # of a file system without locks
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.warning("%s is being fetched by another process, which is waited for", part.stem)
                fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _fetch(source: Download, target: Path, part: Path, url: str) -> None:
    """Download to ``part``, check, then rename: a file of the right name is always whole."""
    known = source.expected_sha256(target.parent)
    try:
        said_by_host = _receive(url, part)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"{target.name} could not be fetched from {url}: {_reason(error)}. The same command goes on where it"
            f" stopped; --mirror URL fetches from elsewhere, or put the file at {target}"
            f" (SHA-256 {known or 'not published'})"
        ) from None
    actual, expected = sha256_of(part), known or said_by_host
    if expected is not None and actual != expected:
        part.unlink()
        raise DownloadError(
            f"{url} gave another file than the official {target.name}: SHA-256 {actual}, expected {expected}"
        )
    if expected is None and not _is_whole(part, target.suffix):
        part.unlink()
        raise DownloadError(f"{url} gave no whole {target.name}: perhaps a part of it, or the page of a proxy")
    part.chmod(_READABLE)
    part.rename(target)
    if known is None:
        _record(source, target)


def _receive(url: str, part: Path) -> str | None:
    """Append to ``part`` what is missing of the file, or download all of it if the server cannot continue.

    Returns the SHA-256 that the host states, or None.
    """
    held = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    with _client() as client, client.stream("GET", url, headers=headers) as response:
        said = _said_by_host(response)
        if held and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return said  # all of it is there
        response.raise_for_status()
        continued = response.status_code == httpx.codes.PARTIAL_CONTENT
        start = held if continued else 0
        total = start + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if continued else "wb") as file, _progress(part.stem, start, total) as advance:
            for chunk in response.iter_raw():
                file.write(chunk)
                advance(len(chunk))
    return said


def _client() -> httpx.Client:
    """A client with the proxies and certificates of the environment. Raises DownloadError where these are of no use."""
    try:
        return httpx.Client(timeout=_TIMEOUT, follow_redirects=True)
    except (ImportError, ValueError, OSError) as error:  # SOCKS without its package; no proxy's address; no such file
        given = [name for name in _ENVIRONMENT if os.environ.get(name) or os.environ.get(name.lower())]
        raise DownloadError(f"nothing can be fetched with the environment's {', '.join(given)}: {error}") from None


def _said_by_host(response: httpx.Response) -> str | None:
    """The SHA-256 in the headers of the answer, or of a redirection to it; None if there is none."""
    tags = (each.headers.get(_HOSTS_RECORD, "").strip('"') for each in (*response.history, response))
    return next((tag for tag in tags if re.fullmatch("[0-9a-f]{64}", tag)), None)


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
