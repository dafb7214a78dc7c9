"""The bodies of answers, read as far as there is room and time: a broken or hostile server may send without an end."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

from urllib3 import BaseHTTPResponse

from promptable.cvat.server.errors import CvatError

MOST_JSON_BYTES = 512 * 2**20
"""Some 100,000 large masks of one job; parsed, JSON takes several times as much memory."""
MOST_BYTES = 4 * 2**30
"""Of pictures: CVAT sends up to 72 originals at once."""
LONGEST_JSON_S, LONGEST_S = 600.0, 1800.0
"""So long may JSON, and anything else, take to come."""
_PART = 2**20


def read_body(response: BaseHTTPResponse, asked: str, *, decode: bool = True) -> bytes:
    """The body of an answer that was not read yet, decompressed if ``decode``. ``asked`` is for the error.

    Raises CvatError for one that is too large, compressed as it may be, or takes too long, and urllib3's errors.
    """
    is_json = "json" in response.headers.get("Content-Type", "")
    most, longest = (MOST_JSON_BYTES, LONGEST_JSON_S) if is_json else (MOST_BYTES, LONGEST_S)
    body, end = io.BytesIO(), time.monotonic() + longest
    while part := response.read1(_PART, decode_content=decode):
        body.write(part)
        if body.tell() > most:
            response.close()
            raise CvatError(f"{asked} answered more than {most // 2**20} MB, which no job needs: is the address right?")
        if time.monotonic() > end:
            response.close()
            raise CvatError(
                f"{asked} has been answering for {longest / 60:g} minutes and is not done: is the server, or the line "
                "to it, overloaded? Try again when it is not"
            )
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
