"""Under which names ``promptable serve`` answers.

A web page can have its domain's address changed to this machine's ("DNS rebinding"): for the browser the functions are
then part of the page's own site, and it may read their answers. Its requests still name the domain in the header
``Host``. So names that anyone can register are refused, unless they are named; an address, or a name that means
something in one network only, is no page's domain.
"""

import logging
import re
from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_PRIVATE_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa", ".svc")
"""host.docker.internal, mDNS, Kubernetes' services (``.svc``, ``.svc.cluster.local``): no public domain ends so."""

_HOST = re.compile(r"(?:\[(?P<address>[^\]]+)\]|(?P<name>[\w.-]*))(?::\d*)?")

_log = logging.getLogger("promptable.local")


def only_under_known_names(app: ASGIApp, allowed: Collection[str]) -> ASGIApp:
    """The app, with a 403 for requests whose ``Host`` is neither an address or a private name nor ``allowed``.

    A request without the header comes from no browser.
    """
    allowed_names = {_name_of(host) for host in allowed}

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        name = _name_of(host)
        if name is not None and (name in allowed_names or _is_private(name)):
            await app(scope, receive, send)
        else:
            await _refusal(host)(scope, receive, send)

    return checked


def _refusal(host: str) -> ASGIApp:
    sentence = (
        f"unknown host {host!r}: by a name like this a web page could reach the functions; "
        "if it is this machine's, start promptable serve with --allow-host and the name"
    )
    _log.warning("answered 403: %s", sentence)
    return JSONResponse({"error": sentence}, 403)


def _name_of(host: str) -> str | None:
    """The name in a header ``Host``, in lower case, without port, brackets and last dot; None if there is none."""
    found = _HOST.fullmatch(host)
    return (found["address"] or found["name"]).rstrip(".").lower() if found else None


def _is_private(name: str) -> bool:
    return "." not in name or name.endswith(_PRIVATE_ENDINGS) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
