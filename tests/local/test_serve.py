"""What callers of healthy functions see, in both of CVAT's modes."""

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from promptable.local.hosts import only_under_known_names
from promptable.local.server import Running, ServeError, listen

from .conftest import Serve, write_function

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


def call_dashboard(client: httpx.Client, running: Running, name: str, **request: Any) -> httpx.Response:
    """Call as CVAT's dashboard mode does."""
    headers = {
        "x-nuclio-project-name": "cvat",
        "x-nuclio-function-namespace": "nuclio",
        "x-nuclio-invoke-via": "domain-name",
        "X-Nuclio-Invoke-Timeout": "120s",
        "x-nuclio-function-name": name,
        "x-nuclio-path": "/",
    }
    return client.post(f"{running.dashboard_url}/api/function_invocations", headers=headers, **request)


def test_both_modes_reach_the_same_process(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    write_function(tmp_path, "cats")
    with serve_all() as running:
        direct = client.post(running.url("cats"), json={"a": [1.5, "é"]}).json()
        dashboard = call_dashboard(client, running, "cats", json={"a": [1.5, "é"]}).json()
    assert direct["body"] == dashboard["body"] == {"a": [1.5, "é"]}
    assert direct["pid"] == dashboard["pid"]
    assert (direct["answered"], dashboard["answered"]) == (1, 2)
    assert (direct["path"], dashboard["path"]) == ("/", "/")
    assert (direct["method"], direct["worker"]) == ("POST", 0)
    assert direct["trigger"] == ["http", "web", "http", "web"]
    assert dashboard["headers"]["X-Nuclio-Function-Name"] == "cats"
    assert direct["size"] == len(json.dumps({"a": [1.5, "é"]}, ensure_ascii=False, separators=(",", ":")).encode())


def test_only_json_under_exactly_its_own_type_becomes_a_dict(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    write_function(tmp_path, "cats")

    def body_for(content_type: str, content: bytes) -> object:
        answer = client.post(running.url("cats"), content=content, headers={"Content-Type": content_type})
        return answer.json()["body"]

    as_bytes = {"type": "bytes"}
    with serve_all() as running:
        assert body_for("application/json", b'{"a": 1}') == {"a": 1}
        assert body_for("application/json", b"[1]") == [1]
        assert body_for("application/json; charset=utf-8", b'{"a": 1}') == as_bytes
        assert body_for("text/plain", b'{"a": 1}') == as_bytes
        assert body_for("application/json", b'{"a": ') == as_bytes
        assert body_for("application/json", b"\xff\xfe") == as_bytes
        assert body_for("application/json", b"") == as_bytes


def test_responses_leave_as_nuclio_sends_them(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    write_function(tmp_path, "cats", _RESPONSES)

    def answer(kind: str) -> tuple[int, str, bytes]:
        response = client.post(running.url("cats"), json={"kind": kind})
        return response.status_code, response.headers["content-type"], response.content

    with serve_all() as running:
        assert answer("str") == (200, "text/plain", b"text")
        assert answer("dict") == (200, "application/json", b'{"a": 1}')
        assert answer("bytes") == (200, "text/plain", b"\x00\xff")
        assert answer("tuple") == (201, "application/json", b'{"a": 1}')
        assert answer("none") == (200, "text/plain", b"None")
        assert answer("response") == (418, "text/csv", "é".encode())
        assert answer("bytes response") == (200, "image/png", b"\x00\xff")
        assert answer("dict response") == (200, "application/json", b'{"a": 1}')
        assert answer("list response") == (200, "application/json", b"[1, 2]")
        assert client.post(running.url("cats"), json={"kind": "response"}).headers["x-a"] == "b"


def test_a_bare_list_is_a_batch_of_which_the_first_leaves(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    write_function(tmp_path, "cats", _RESPONSES)
    with serve_all() as running:
        assert client.post(running.url("cats"), json={"kind": "list"}).json() == {"a": 1}
        assert client.post(running.url("cats"), json={"kind": "empty list"}).status_code == 500
    assert "cats: the handler answered a list: Nuclio takes it for a batch" in capfd.readouterr().err


def test_the_dashboard_lists_what_cvat_reads(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    write_function(tmp_path, "cats")
    write_function(tmp_path, "dogs")
    with serve_all() as running:
        listing = client.get(f"{running.dashboard_url}/api/functions").json()
        one = client.get(f"{running.dashboard_url}/api/functions/dogs")
        unknown = client.get(f"{running.dashboard_url}/api/functions/birds")
    assert list(listing) == ["cats", "dogs"]
    assert one.json() == listing["dogs"]
    dogs = listing["dogs"]
    assert dogs["metadata"]["name"] == "dogs"
    assert dogs["metadata"]["annotations"] == {"type": "detector", "spec": '[{"id": 0, "name": "cat"}]'}
    assert all(isinstance(value, str) for value in dogs["metadata"]["annotations"].values())
    assert dogs["spec"]["description"] == "The function dogs"
    assert dogs["status"]["state"] == "ready"
    assert dogs["status"]["httpPort"] == running.ports["dogs"]
    assert unknown.status_code == 404


@pytest.mark.parametrize("origin", ["https://page.example", "null", "http://localhost:8080"])
def test_a_web_page_keeps_no_function_busy(tmp_path: Path, serve_all: Serve, client: httpx.Client, origin: str) -> None:
    """Browsers send any page's POST of a text to this machine, and name the page."""
    write_function(tmp_path, "cats")
    client.headers["Origin"] = origin
    with serve_all() as running:
        direct = client.post(running.url("cats"), content="{}", headers={"Content-Type": "text/plain"})
        dashboard = call_dashboard(client, running, "cats", json={})
        del client.headers["Origin"]
        assert client.post(running.url("cats"), json={}).json()["answered"] == 1
    for refused in (direct, dashboard):
        assert refused.status_code == 403
        assert refused.json()["error"].startswith("a web page asks")
        assert "access-control-allow-origin" not in refused.headers


_PRIVATE_HOSTS = [
    "localhost:8070",
    "LOCALHOST.",
    "127.0.0.1:32101",
    "192.168.1.20",
    "[::1]:8070",
    "[fe80::1]",
    "host.docker.internal:32101",
    "promptable_serve:8070",
    "gpu-box",
    "gpu-box.local",
    "promptable.cvat.svc",
    "promptable.cvat.svc.cluster.local:8070",
    socket.gethostname(),
]


@pytest.mark.parametrize("host", ["gpu.example.org", "gpu.example.org:8443", "GPU.Example.org.", *_PRIVATE_HOSTS])
def test_cvat_reaches_the_functions_by_private_names_addresses_and_those_allowed(host: str) -> None:
    assert _status_under(host, "gpu.example.org") == 200


@pytest.mark.parametrize(
    "host",
    [
        "page.example",
        "page.example:8070",
        "127.0.0.1.page.example",
        "localhost.page.example",
        "internal.example",
        "sub.gpu.example.org",
        "[page.example]",
        "[::1].page.example",
        "me@page.example",
    ],
)
def test_a_page_whose_domain_points_at_this_machine_reaches_nothing(host: str) -> None:
    assert _status_under(host, "gpu.example.org") == 403


def _status_under(host: str, *allowed: str) -> int:
    """How an app that knows these hosts answers one request under that name."""
    app = only_under_known_names(PlainTextResponse("answer"), allowed)

    async def status() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return (await client.get("/", headers={"Host": host})).status_code

    return asyncio.run(status())


def test_both_modes_refuse_an_unknown_host_and_say_which_option_allows_it(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    write_function(tmp_path, "cats")
    large = "abcd" * 5_000_000
    with serve_all(allowed_hosts=["gpu.example.org"]) as running:
        client.headers["Host"] = "page.example"
        listing = client.get(f"{running.dashboard_url}/api/functions")
        refused = [
            listing,
            client.post(running.url("cats"), json={"image": large}),
            call_dashboard(client, running, "cats", json={"image": large}),
        ]
        client.headers["Host"] = "gpu.example.org"
        assert client.post(running.url("cats"), json={}).json()["answered"] == 1
    assert {answer.status_code for answer in refused} == {403}
    assert "unknown host 'page.example'" in (sentence := listing.json()["error"])
    assert "--allow-host" in sentence
    assert sentence in caplog.text


def test_an_invocation_without_a_known_function_is_refused(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    write_function(tmp_path, "cats")
    with serve_all() as running:
        assert call_dashboard(client, running, "birds", json={}).status_code == 404
        nameless = client.post(f"{running.dashboard_url}/api/function_invocations", json={})
    assert nameless.status_code == 400
    assert "x-nuclio-function-name" in nameless.json()["error"]


def test_a_body_of_tens_of_megabytes_goes_through(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    main = "def handler(context, event): return context.Response(body=event.body['image'])"
    limit = {"attributes": {"maxRequestBodySize": 40_000_000}}
    write_function(tmp_path, "cats", main, trigger=limit)
    image = "abcd" * 7_500_000
    with serve_all() as running:
        answer = call_dashboard(client, running, "cats", json={"image": image})
    assert answer.text == image


def test_a_small_answer_does_not_wait_for_the_clients_delayed_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_there_is_not(port: int) -> None:
    with pytest.raises(ServeError, match=f"there is no port {port}: choose one from 1 to 65535"):
        listen("127.0.0.1", port)


def test_parallel_requests_queue_and_each_gets_its_own_answer(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    main = "import time\ndef handler(context, event):\n    time.sleep(0.05)\n    return str(event.body['number'])"
    write_function(tmp_path, "cats", main)
    with serve_all() as running, ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda n: client.post(running.url("cats"), json={"number": n}).text, range(8)))
        seconds = time.monotonic() - started
    assert answers == [str(number) for number in range(8)]
    assert seconds >= 8 * 0.05


def test_workers_of_a_tracker_need_a_redis(tmp_path: Path, serve_all: Serve) -> None:
    folder = write_function(tmp_path, "tracks", trigger={"numWorkers": 2})
    file = folder / "function.yaml"
    file.write_text(file.read_text().replace("detector", "tracker"))
    with pytest.raises(ServeError, match=r"numWorkers: 2, .* without CVAT_FUNCTIONS_REDIS_HOST"), serve_all():
        pass
    with serve_all(env={"CVAT_FUNCTIONS_REDIS_HOST": "redis"}) as running:
        running.require_ready()


def test_two_workers_work_at_the_same_time(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    main = (
        "import os, time\nfrom pathlib import Path\n"
        "def handler(context, event):\n"
        "    folder = Path(__file__).parent\n"
        "    (folder / f'{context.worker_id}.here').touch()\n"
        "    while len(list(folder.glob('*.here'))) < 2: time.sleep(0.01)\n"
        "    return str(os.getpid())"
    )
    write_function(tmp_path, "cats", main, trigger={"numWorkers": 2}, eventTimeout="5s")
    with serve_all() as running, ThreadPoolExecutor(2) as pool:
        pids = set(pool.map(lambda _: client.post(running.url("cats"), json={}).text, range(2)))
    assert len(pids) == 2
