"""Version numbers in what tools, images and CVAT say."""

import http.client
import json
import re
import urllib.parse
import urllib.request

from promptable.deploy.console import Console


def numbers(version: str) -> tuple[int, ...]:
    """(29, 7, 2) of ``29.7.2``, ``v29.7.2-rc.1`` or ``20.10.24+dfsg1``; empty without a number."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def tag_version(image: str) -> str:
    """``1.15.9`` of ``quay.io/nuclio/dashboard:1.15.9-amd64``."""
    return image.rpartition(":")[2].partition("-")[0]


def cvat_version(url: str, console: Console) -> str:
    """The version that CVAT at this address says; empty without an address, or without an answer (a problem)."""
    if not url:
        return ""
    about = f"{url.rstrip('/')}/api/server/about"
    try:
        request = urllib.request.Request(about, headers={"Accept": "application/json"})  # noqa: S310
        with _opener(url).open(request, timeout=10) as response:
            version: str = json.load(response)["version"]
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        console.problem(f"CVAT does not answer at {url}: {error}", "--cvat-url takes the address that you open CVAT at")
        return ""
    return version


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Through the environment's proxy, but for this machine, which no proxy reaches."""
    host = urllib.parse.urlsplit(url).hostname or ""
    here = host in ("localhost", "::1") or host.startswith("127.")
    return urllib.request.build_opener(*[urllib.request.ProxyHandler({})] if here else [])
