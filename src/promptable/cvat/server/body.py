"""The bodies of answers, read as far as there is room: a server that is broken or hostile may send without an end."""

import io
import json
from collections.abc import Callable
from typing import Any

from urllib3 import BaseHTTPResponse

from promptable.cvat.server.errors import CvatError

MOST_JSON_BYTES = 512 * 2**20
"""Some 100,000 large masks of one job; parsed, JSON takes several times as much memory."""
MOST_BYTES = 4 * 2**30
"""Of pictures: CVAT sends up to 72 originals at once."""
_PART = 2**20


def read_body(response: BaseHTTPResponse, asked: str, *, decode: bool = True) -> bytes:
    """The body of an answer that was not read yet, decompressed if ``decode``. ``asked`` is for the error.

    Raises CvatError for one that is too large, compressed as it may be, and urllib3's errors.
    """
    most = MOST_JSON_BYTES if "json" in response.headers.get("Content-Type", "") else MOST_BYTES
    body = io.BytesIO()
    for part in response.stream(_PART, decode_content=decode):
        body.write(part)
        if body.tell() > most:
            response.close()
            raise CvatError(f"{asked} answered more than {most // 2**20} MB, which no job needs: is the address right?")
    return body.getvalue()


def read_json(
    response: BaseHTTPResponse, asked: str, object_hook: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """What an answer says. Raises CvatError for no JSON: what was asked for may have been done nevertheless.

    ``object_hook`` is that of ``json.loads``.
    """
    try:
        return json.loads(response.data, object_hook=object_hook)
    except (ValueError, RecursionError):
        raise CvatError(f"{asked} answered something else than JSON: is a proxy before it, or is it no CVAT?") from None
