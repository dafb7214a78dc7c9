"""Reading the bodies of answers, up to a size and a time: a broken or hostile server may never stop sending."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

from urllib3 import BaseHTTPResponse

from promptable.cvat.server.errors import CvatError

MOST_JSON_BYTES = 512 * 2**20
"""Some 100,000 large masks of one job. Parsed JSON takes several times as much memory."""
MOST_BYTES = 4 * 2**30
"""Of bodies other than JSON: a chunk of CVAT holds up to 72 original pictures."""
LONGEST_JSON_S, LONGEST_S = 600.0, 1800.0
"""Seconds that a JSON body, and any other, may take."""
_PART = 2**20


def read_body(response: BaseHTTPResponse, asked: str, *, decode: bool = True) -> bytes:
    """The body of a response that was not read yet, decompressed if ``decode``; errors name ``asked``, the URL.

    Raises CvatError for a body that is too large, after decompression, or takes too long. Raises urllib3's errors.
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
    """The parsed JSON of a response; ``object_hook`` is that of ``json.loads``.

    Raises CvatError for a body that is not JSON. The server may have carried out the request nevertheless.
    """
    try:
        return json.loads(response.data, object_hook=object_hook)
    except (ValueError, RecursionError):
        raise CvatError(f"{asked} answered something else than JSON: is a proxy before it, or is it no CVAT?") from None
