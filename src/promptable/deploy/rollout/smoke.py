"""Two real requests to a deployed function, as CVAT sends them, and what their answers must look like."""

import base64
import http.client
import json
import struct
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from promptable.config.nuclio import FunctionConfig, FunctionType

SIDE = 64
"""Width and height of the picture that is sent, in pixels."""

Body = dict[str, Any]
_BOX = [16.0, 16.0, 48.0, 48.0]
_CALL_SECONDS = 120


class SmokeError(RuntimeError):
    """The function did not answer as CVAT needs it; the message says what came."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of the first call and of the second one, which finds the picture in the cache."""

    first: float
    second: float


@dataclass(frozen=True)
class _Case:
    body: Callable[[str], Body]
    check: Callable[[Any, FunctionConfig], None]
    following: Callable[[Body, Any], Body]
    """The second request, from the first one and its answer."""


def call_twice(url: str, config: FunctionConfig) -> Timing:
    """Send two requests to the function with this function.yaml and check both answers. Raises SmokeError."""
    case = _CASES[config.type]
    first_body = case.body(base64.b64encode(picture()).decode())
    answer, first = _post(url, first_body)
    case.check(answer, config)
    answer, second = _post(url, case.following(first_body, answer))
    case.check(answer, config)
    return Timing(first, second)


def picture() -> bytes:
    """A PNG, RGB: a red square in the middle of a green field."""
    red, green = bytes((200, 30, 30)), bytes((30, 120, 40))
    middle = range(SIDE // 4, SIDE * 3 // 4)
    rows = (b"\0" + b"".join(red if x in middle and y in middle else green for x in range(SIDE)) for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(b"".join(rows))), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _post(url: str, body: Body) -> tuple[Any, float]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would not reach this machine
    start = time.perf_counter()
    try:
        with opener.open(request, timeout=_CALL_SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise SmokeError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from None
    except OSError as error:
        raise SmokeError(f"{url} cannot be reached: {error}") from None
    except http.client.HTTPException as error:
        raise SmokeError(f"{url} broke off its answer: {error!r}") from None
    except ValueError:
        raise SmokeError(f"{url} answered something that is not JSON") from None
    return answer, (time.perf_counter() - start) * 1000


def _check_detector(answer: Any, config: FunctionConfig) -> None:
    names = {label["name"] for label in json.loads(config.metadata.annotations.spec)}
    _expect(isinstance(answer, list), "a list", answer)
    for item in answer:
        _expect(isinstance(item, dict) and item.get("label") in names, "items with the function's own labels", item)


def _check_interactor(answer: Any, config: FunctionConfig) -> None:
    key = config.env.get("PROMPTABLE_ANSWER_FORM") or "shapes"
    _expect(isinstance(answer, dict) and isinstance(answer.get(key), list), f"a mapping with the list {key!r}", answer)


def _check_tracker(answer: Any, _config: FunctionConfig) -> None:
    for key in ("shapes", "states"):
        values = answer.get(key) if isinstance(answer, dict) else None
        _expect(isinstance(values, list) and len(values) == 1, f"one entry in {key!r}", answer)


def _expect(holds: bool, expected: str, answer: object) -> None:
    if not holds:
        raise SmokeError(f"expected {expected}, got {json.dumps(answer)[:300]}")


def _again(body: Body, _answer: Any) -> Body:
    return body


_CASES: Mapping[FunctionType, _Case] = {
    FunctionType.DETECTOR: _Case(lambda image: {"image": image}, _check_detector, _again),
    FunctionType.INTERACTOR: _Case(
        lambda image: {"image": image, "pos_points": [[SIDE / 2, SIDE / 2]], "neg_points": [], "obj_bbox": []},
        _check_interactor,
        _again,
    ),
    FunctionType.TRACKER: _Case(
        lambda image: {"image": image, "shapes": [{"type": "rectangle", "points": _BOX}], "states": []},
        _check_tracker,
        lambda body, answer: body | {"shapes": [None], "states": answer["states"]},
    ),
}
