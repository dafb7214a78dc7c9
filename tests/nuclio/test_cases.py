"""The same cases under ``promptable serve`` and under the real Nuclio: where they differ, a test says how."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from promptable.local.options import Options
from promptable.local.server import ServeError
from tests.local.conftest import HEALTHY, runs, wait_until, write_function
from tests.nuclio.platforms import Platform, Served

_OBEDIENT = """
import os, time

def handler(context, event):
    exec(event.body["do"])
    return str(os.getpid())
"""
_RESPONSES = """
def handler(context, event):
    return {
        "str": lambda: "text",
        "dict": lambda: {"a": 1},
        "bytes": lambda: b"\\x00\\xff",
        "tuple": lambda: (201, {"a": 1}),
        "none": lambda: None,
        "response": lambda: context.Response({"X-A": "b", "X-N": 5}, "é", "text/csv", 418),
        "bytes response": lambda: context.Response(body=b"\\x00\\xff", content_type="image/png"),
        "dict response": lambda: context.Response(body={"a": 1}),
        "list response": lambda: context.Response(body=[1, 2], content_type="application/json"),
        "list": lambda: [{"a": 1}, {"a": 2}],
        "empty list": lambda: [],
    }[event.body["kind"]]()
"""
_LABELS = """
import json, os
from pathlib import Path
from promptable.config import labels

def handler(context, event):
    deployed = labels.deployed(Path(os.environ["PROMPTABLE_FUNCTION_CONFIG"]))
    return context.Response(body=json.dumps([label.name for label in deployed]), content_type="application/json")
"""

ServeOne = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def serve_one(platform: Platform, tmp_path: Path) -> ServeOne:
    """Serve a function with this ``main.py``; further keywords as in ``write_function``."""

    @contextmanager
    def serve_one(main: str, *, options: Options | None = None, **function: Any) -> Iterator[Served]:
        folder = write_function(tmp_path / "functions", "cats", main, runtime="python:3.11", **function)
        with platform(folder, tmp_path, options or Options()) as served:
            yield served

    return serve_one


def _do(client: httpx.Client, served: Served, code: str = "pass") -> httpx.Response:
    return client.post(served.url, json={"do": code})


def _status(client: httpx.Client, served: Served, code: str = "pass") -> int | None:
    """The answer's status; None without an answer."""
    try:
        return _do(client, served, code).status_code
    except httpx.TransportError:
        return None


def _answers(client: httpx.Client, served: Served) -> bool:
    return _status(client, served) == httpx.codes.OK


def test_an_event_arrives_with_its_body_path_and_headers(serve_one: ServeOne, client: httpx.Client) -> None:
    with serve_one(HEALTHY) as served:
        answer = client.post(f"{served.url}/path", json={"a": [1.5, "é"]}, headers={"x-nuclio-path": "/"}).json()
    assert answer["body"] == {"a": [1.5, "é"]}
    assert (answer["path"], answer["method"], answer["headers"]["X-Nuclio-Path"]) == ("/path", "POST", "/")
    assert answer["size"] == len(json.dumps({"a": [1.5, "é"]}, ensure_ascii=False, separators=(",", ":")).encode())
    assert answer["trigger"] == ["http", "web", "http", "web"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_every_method_reaches_the_handler(serve_one: ServeOne, client: httpx.Client, method: str) -> None:
    with serve_one(HEALTHY) as served:
        assert client.request(method, served.url).json()["method"] == method


def test_only_json_under_exactly_its_own_type_becomes_a_dict(serve_one: ServeOne, client: httpx.Client) -> None:
    with serve_one(HEALTHY) as served:

        def body_for(content_type: str, content: bytes) -> object:
            return client.post(served.url, content=content, headers={"Content-Type": content_type}).json()["body"]

        as_bytes = {"type": "bytes"}
        assert body_for("application/json", b'{"a": 1}') == {"a": 1}
        assert body_for("application/json", b"[1]") == [1]
        assert body_for("application/json; charset=utf-8", b'{"a": 1}') == as_bytes
        assert body_for("text/plain", b'{"a": 1}') == as_bytes
        assert body_for("application/json", b'{"a": ') == as_bytes
        assert body_for("application/json", b"\xff\xfe") == as_bytes
        assert body_for("application/json", b"") == as_bytes


def test_what_a_handler_returns_becomes_this_response(serve_one: ServeOne, client: httpx.Client) -> None:
    with serve_one(_RESPONSES) as served:

        def answer(kind: str) -> tuple[int, str, bytes]:
            response = client.post(served.url, json={"kind": kind})
            return response.status_code, response.headers["content-type"], response.content

        assert answer("str") == (200, "text/plain", b"text")
        assert answer("dict") == (200, "application/json", b'{"a": 1}')
        assert answer("bytes") == (200, "text/plain", b"\x00\xff")
        assert answer("tuple") == (201, "application/json", b'{"a": 1}')
        assert answer("none") == (200, "text/plain", b"None")
        assert answer("response") == (418, "text/csv", "é".encode())
        assert answer("bytes response") == (200, "image/png", b"\x00\xff")
        assert answer("dict response") == (200, "application/json", b'{"a": 1}')
        assert answer("list response") == (200, "application/json", b"[1, 2]")
        assert client.post(served.url, json={"kind": "response"}).headers["x-a"] == "b"
        assert answer("list")[2] in (b'{"a": 1}', b'[{"a": 1}, {"a": 2}]'), "Nuclio takes it for a batch from 1.14 on"


def test_a_body_of_tens_of_megabytes_goes_through(serve_one: ServeOne, client: httpx.Client) -> None:
    main = "def handler(context, event): return context.Response(body=event.body['image'])"
    image = "abcd" * 7_500_000
    with serve_one(main, trigger={"attributes": {"maxRequestBodySize": 40_000_000}}) as served:
        assert client.post(served.url, json={"image": image}).text == image


def test_a_body_over_the_limit_is_400(serve_one: ServeOne, client: httpx.Client) -> None:
    with serve_one(HEALTHY, trigger={"attributes": {"maxRequestBodySize": 100_000}}) as served:
        over = client.post(served.url, content=b"x" * 100_001)
        at_limit = client.post(served.url, content=b"x" * 100_000)
    assert (over.status_code, at_limit.status_code) == (400, 200)


def test_the_log_keeps_what_is_printed_and_logged_from_level_info_on(serve_one: ServeOne, client: httpx.Client) -> None:
    code = "context.logger.debug('a whisper'); context.logger.info_with('a word', size=3); print('a print')"
    with serve_one(_OBEDIENT, loggerSinks=[{"level": "info"}]) as served:
        assert client.post(served.url, json={"do": code}).status_code == 200
        wait_until(lambda: "a print" in served.log.read_text())
        log = served.log.read_text()
    assert "a word" in log
    assert "a whisper" not in log


def test_parallel_requests_wait_for_the_worker_and_each_gets_its_own_answer(
    serve_one: ServeOne, client: httpx.Client
) -> None:
    main = "import time\ndef handler(context, event):\n    time.sleep(0.05)\n    return str(event.body['number'])"
    with serve_one(main) as served, ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda n: client.post(served.url, json={"number": n}).text, range(8)))
        seconds = time.monotonic() - started
    assert answers == [str(number) for number in range(8)]
    assert seconds >= 8 * 0.05


def test_no_free_worker_in_time_is_503(serve_one: ServeOne, client: httpx.Client) -> None:
    with (
        serve_one(_OBEDIENT, trigger={"workerAvailabilityTimeoutMilliseconds": 100}) as served,
        ThreadPoolExecutor(2) as pool,
    ):
        statuses = sorted(pool.map(lambda _: _do(client, served, "time.sleep(0.6)").status_code, range(2)))
        assert statuses == [200, 503]
        assert _do(client, served).status_code == 200


@pytest.mark.parametrize("error", ["ValueError", "SystemExit"])
def test_an_exception_is_500_and_the_worker_lives_on(
    serve_one: ServeOne, client: httpx.Client, platform_name: str, error: str
) -> None:
    with serve_one(_OBEDIENT) as served:
        before = _do(client, served).text
        failed = _do(client, served, f"raise {error}('secret')")
        after = _do(client, served).text
        assert "secret" in served.log.read_text()
    assert (failed.status_code, before) == (500, after)
    assert ("Traceback" in failed.text) == (platform_name == "nuclio"), "ours goes to the log only"


def test_a_late_answer_is_408_and_another_process_takes_over(
    serve_one: ServeOne, client: httpx.Client, platform_name: str
) -> None:
    with serve_one(_OBEDIENT, eventTimeout="1s") as served:
        before = _do(client, served).text
        late = _do(client, served, "time.sleep(60)")
        if platform_name == "serve":
            assert _do(client, served).status_code == 200, "ours lets the next call wait; Nuclio's is 500 until then"
        wait_until(lambda: _answers(client, served), 20)
        assert _do(client, served).text != before
        assert not runs(int(before))
    assert late.status_code == 408


def test_a_process_that_ends_in_a_call_is_500_and_another_takes_over(
    serve_one: ServeOne, client: httpx.Client, platform_name: str
) -> None:
    with serve_one(_OBEDIENT) as served:
        before = _do(client, served).text
        assert _status(client, served, "os._exit(3)") in {"serve": (500,), "nuclio": (500, None)}[platform_name]
        wait_until(lambda: _answers(client, served), 20)
        assert _do(client, served).text != before


def test_a_process_that_is_killed_between_calls_is_replaced(serve_one: ServeOne, client: httpx.Client) -> None:
    with serve_one(_OBEDIENT) as served:
        before = int(_do(client, served).text)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: not runs(before))
        wait_until(lambda: _answers(client, served), 20)
        assert _do(client, served).text != str(before)


@pytest.mark.parametrize(
    "main",
    [
        "def init_context(context): raise RuntimeError('no weights here')\ndef handler(context, event): pass",
        "raise RuntimeError('no weights here')",
    ],
)
def test_a_function_that_cannot_load_does_not_start_and_its_log_says_why(
    serve_one: ServeOne, tmp_path: Path, main: str
) -> None:
    with pytest.raises(ServeError), serve_one(main):
        pass
    assert "no weights here" in (tmp_path / "log").read_text()


def test_other_labels_take_no_more_than_another_processor_yaml(
    platform: Platform, tmp_path: Path, client: httpx.Client
) -> None:
    folder = write_function(tmp_path / "functions", "cats", _LABELS, runtime="python:3.11")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    labels = tmp_path / "labels.yaml"
    for text, names in (("- rivet\n- rust\n", ["rivet", "rust"]), ("- {name: weld, type: mask}\n", ["weld"])):
        labels.write_text(text)
        with platform(folder, tmp_path, Options(labels=labels)) as served:
            assert client.post(served.url, json={}).json() == names
    assert {path: path.read_bytes() for path in before} == before


def test_a_stop_lets_the_running_request_end_and_leaves_no_process(
    serve_one: ServeOne, client: httpx.Client, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    with serve_one(_OBEDIENT) as served, ThreadPoolExecutor(1) as pool:
        pid = int(_do(client, served).text)
        running = pool.submit(_do, client, served, f"open({str(begun)!r}, 'w').close(); time.sleep(1)")
        wait_until(begun.exists)
        served.stop()
        assert running.result().text == str(pid)
        wait_until(lambda: not runs(pid))
        assert _status(client, served) is None
