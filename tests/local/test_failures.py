"""What callers of failing functions see, and that the functions recover."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from promptable.local import bodies, function, server
from promptable.local.server import ServeError

from .conftest import Serve, runs, wait_until, write_function

_OBEDIENT = """
import os, time, sys, subprocess
def handler(context, event):
    exec(event.body["do"])
    return str(os.getpid())
"""


def _call(client: httpx.Client, url: str, code: str = "pass") -> httpx.Response:
    return client.post(url, json={"do": code})


def test_an_exception_is_500_with_the_traceback_in_the_log_only(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    write_function(tmp_path, "cats", _OBEDIENT)
    with serve_all() as running:
        before = _call(client, running.url("cats")).text
        failed = _call(client, running.url("cats"), "raise ValueError('secret')")
        after = _call(client, running.url("cats")).text
    assert failed.status_code == 500
    assert failed.json() == {"error": "the handler failed (ValueError): see the function's log"}
    log = capfd.readouterr().err
    assert "error cats: the handler failed error=ValueError: secret\nTraceback (most recent call last):" in log
    assert before == after


def test_a_crashed_process_is_restarted_and_the_next_call_works(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    write_function(tmp_path, "cats", _OBEDIENT)
    with serve_all() as running:
        before = _call(client, running.url("cats")).text
        crashed = _call(client, running.url("cats"), "os._exit(3)")
        after = _call(client, running.url("cats"))
    assert crashed.status_code == 500
    assert "the process ended with code 3" in crashed.json()["error"]
    assert after.status_code == 200
    assert after.text != before


def test_a_process_that_died_between_calls_is_replaced_unseen_and_its_children_end(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    write_function(tmp_path, "cats", _OBEDIENT)
    code = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
    with serve_all() as running:
        _call(client, running.url("cats"), code)
        pid = int(
            _call(client, running.url("cats"), "import threading; threading.Timer(0.1, os._exit, [1]).start()").text
        )
        wait_until(lambda: not runs(pid))
        after = _call(client, running.url("cats"))
        child = int((tmp_path / "pid").read_text())
        wait_until(lambda: not runs(child), 20)
    assert after.status_code == 200
    assert after.text != str(pid)


def test_a_late_answer_is_408_and_the_worker_and_its_children_are_replaced(
    tmp_path: Path, serve_all: Serve, client: httpx.Client
) -> None:
    write_function(tmp_path, "cats", _OBEDIENT, eventTimeout="300ms")
    code = f"(open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid)), time.sleep(60))"
    with serve_all() as running:
        before = int(_call(client, running.url("cats")).text)
        late = _call(client, running.url("cats"), code)
        child = int((tmp_path / "pid").read_text())
        after = _call(client, running.url("cats"))
        assert not runs(before)
        assert not runs(child)
    assert (late.status_code, after.status_code) == (408, 200)
    assert "no answer within 0.3 s" in late.json()["error"]


def test_503_when_no_worker_comes_free_in_time(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    write_function(tmp_path, "cats", _OBEDIENT, trigger={"workerAvailabilityTimeoutMilliseconds": 100})
    with serve_all() as running, ThreadPoolExecutor(2) as pool:
        url = running.url("cats")
        statuses = sorted(pool.map(lambda _: _call(client, url, "time.sleep(0.5)").status_code, range(2)))
        assert statuses == [200, 503]
        assert _call(client, url).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_400(tmp_path: Path, serve_all: Serve, client: httpx.Client, chunked: bool) -> None:
    write_function(tmp_path, "cats", trigger={"attributes": {"maxRequestBodySize": 1_000_000}})
    body = b"x" * 1_000_001
    with serve_all() as running:
        content = iter([body[:500_000], body[500_000:]]) if chunked else body
        over = client.post(running.url("cats"), content=content)
        at_limit = client.post(running.url("cats"), content=body[:-1])
    assert (over.status_code, at_limit.status_code) == (400, 200)
    assert "maxRequestBodySize of 1000000 bytes" in over.json()["error"]


def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LONGEST_S", 0.2)
    write_function(tmp_path, "cats")
    with serve_all() as running, socket.create_connection(("127.0.0.1", running.ports["cats"])) as link:
        link.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        assert b" 408 " in link.recv(1000)
        assert client.post(running.url("cats"), content=b"{}").status_code == 200


@pytest.mark.parametrize(
    ("main", "reason"),
    [
        (
            "def init_context(context): raise RuntimeError('no weights')\ndef handler(c, e): pass",
            "RuntimeError: no weights",
        ),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1", "AttributeError: module 'main' has no attribute 'handler'"),
        ("import os; os._exit(7)", "the process ended with code 7"),
        ("def init_context(context): raise SystemExit(7)\ndef handler(c, e): pass", "the process ended with code 7"),
    ],
)
def test_a_function_that_cannot_start_says_why_and_leaves_the_others_alone(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, caplog: pytest.LogCaptureFixture, main: str, reason: str
) -> None:
    write_function(tmp_path, "broken", main)
    write_function(tmp_path, "cats")
    with serve_all() as running:
        listing = client.get(f"{running.dashboard_url}/api/functions").json()
        broken = client.post(running.url("broken"), json={})
        cats = client.post(running.url("cats"), json={})
        with pytest.raises(ServeError, match="broken could not start: " + reason):
            running.require_ready()
    assert listing["broken"]["status"] == {"state": "error", "message": reason, "httpPort": running.ports["broken"]}
    assert listing["cats"]["status"]["state"] == "ready"
    assert (broken.status_code, cats.status_code) == (503, 200)
    assert f"broken: answered 503: could not start: {reason}" in caplog.text


def test_a_worker_that_cannot_be_restarted_is_tried_again(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks, such as memory or a network's disk, comes back."""
    monkeypatch.setattr(function, "_FIRST_PAUSE_SECONDS", 0.2)
    lacking = tmp_path / "lacking"
    write_function(tmp_path, "cats", f"import os; assert not os.path.exists({str(lacking)!r})\n{_OBEDIENT}")
    with serve_all() as running:
        lacking.touch()
        _call(client, running.url("cats"), "os._exit(3)")
        wait_until(lambda: running.functions["cats"].state is function.State.ERROR)
        assert _call(client, running.url("cats")).status_code == 503
        lacking.unlink()
        wait_until(lambda: running.functions["cats"].state is function.State.READY)
        assert _call(client, running.url("cats")).status_code == 200
        assert running.functions["cats"].failure == ""


def test_a_request_that_outlives_the_server_is_told_that_it_stops(
    tmp_path: Path, serve_all: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "_LAST_REQUESTS_SECONDS", 0.2)
    write_function(tmp_path, "cats", _OBEDIENT)
    with ThreadPoolExecutor(1) as pool:
        with serve_all() as running:
            late = pool.submit(httpx.post, running.url("cats"), json={"do": "time.sleep(30)"})
            time.sleep(1)
        answer = late.result()
    assert (answer.status_code, answer.json()) == (503, {"error": "the server is stopping"})
    assert "Traceback" not in capfd.readouterr().err


def test_a_function_that_starts_too_slowly_is_named(tmp_path: Path, serve_all: Serve) -> None:
    write_function(tmp_path, "cats")
    write_function(tmp_path, "slow", "import time; time.sleep(60)")
    with pytest.raises(ServeError, match=r"not ready within 0.5 s: .*slow"), serve_all(ready_seconds=0.5):
        pass


def test_a_taken_port_is_named(tmp_path: Path, serve_all: Serve) -> None:
    write_function(tmp_path, "cats")
    with serve_all() as running:
        taken = running.dashboard_port
        with (
            pytest.raises(ServeError, match=f"port {taken} .Address already in use.: --port-base"),
            serve_all(dashboard_port=taken),
        ):
            pass


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            "FileNotFoundError('w.pth is missing: promptable download vit_b')",
            "w.pth is missing: promptable download vit_b",
        ),
        ("__import__('promptable.models.errors').models.errors.ModelError('w.pth is damaged')", "w.pth is damaged"),
        ("__import__('promptable.config.labels').config.labels.LabelError('label 1')", "label 1"),
        ("__import__('promptable.config.environment').config.environment.SettingsError('X')", "X"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_without_a_traceback(
    tmp_path: Path, serve_all: Serve, capfd: pytest.CaptureFixture[str], raised: str, said: str
) -> None:
    write_function(tmp_path, "cats", f"def init_context(context): raise {raised}\ndef handler(c, e): pass")
    with serve_all() as running:
        assert running.functions["cats"].failure == said
    assert "Traceback" not in capfd.readouterr().err


def test_a_client_that_leaves_in_the_middle_of_its_request_leaves_no_traceback(
    tmp_path: Path, serve_all: Serve, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    write_function(tmp_path, "cats")
    with serve_all() as running:
        with socket.create_connection(("127.0.0.1", running.ports["cats"])) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
        assert client.post(running.url("cats"), json={}).status_code == 200
        time.sleep(0.2)  # the first request's end is seen after the second one's
    assert "Traceback" not in caplog.text
