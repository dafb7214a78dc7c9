"""Servers that are broken or hostile end in a sentence, not in memory without an end."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cvat_sdk.api_client import Configuration

from promptable.cvat.functions import DirectFunction, blank
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.http import body
from promptable.cvat.server.http.body import read_json
from promptable.cvat.server.http.rest import Rest

_MB = 2**20
JSON = ("Content-Type", "application/vnd.cvat+json")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    send: Callable[[BaseHTTPRequestHandler], None]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # who asked has heard enough
            self.server.send(self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def _read(server: _Server) -> Any:
    url = f"{_url(server)}/api/jobs/1/annotations"
    return read_json(Rest(Configuration(host=_url(server))).request("GET", url), url)


def _sending(data: bytes, *headers: tuple[str, str]) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return send


def _without_end(handler: BaseHTTPRequestHandler) -> None:
    _sending(b"[", JSON)(handler)
    while True:
        handler.wfile.write(b"0," * 50_000)


def _trickling(handler: BaseHTTPRequestHandler) -> None:
    _sending(b"[", JSON)(handler)
    while True:
        handler.wfile.write(b"0")
        threading.Event().wait(0.01)


_BOMB = _sending(gzip.compress(b"[" + b"0," * 20 * _MB), JSON, ("Content-Encoding", "gzip"))


@pytest.mark.parametrize("send", [_without_end, _BOMB], ids=["endless", "gzip bomb"])
def test_an_answer_that_is_too_large_is_given_up(
    send: Callable[[BaseHTTPRequestHandler], None], server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "MOST_JSON_BYTES", _MB)
    server.send = send
    with pytest.raises(CvatError, match=r"/api/jobs/1/annotations answered more than 1 MB, which no job needs"):
        _read(server)


def test_a_function_that_answers_without_an_end_is_given_up(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MOST_JSON_BYTES", _MB)
    server.send = _without_end
    with pytest.raises(CvatError, match="answered more than 1 MB"):
        DirectFunction(_url(server)).call(blank("blank"), {})


def test_an_answer_that_trickles_is_given_up(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LONGEST_JSON_S", 0.06)
    server.send = _trickling
    late = "has been answering for 0.001 minutes and is not done: is the server, or the line to it, overloaded?"
    with pytest.raises(CvatError, match=f"/api/jobs/1/annotations {late}"):
        _read(server)
    with pytest.raises(CvatError, match=late):
        DirectFunction(_url(server)).call(blank("blank"), {})


@pytest.mark.parametrize(
    ("data", "headers", "sentence"),
    [
        (b'{"shapes": [', [JSON, ("Content-Length", "100")], "broke the connection"),
        (b'{"shapes": [', [JSON], "answered something else than JSON: is a proxy before it"),
        (b"", [JSON], "answered something else than JSON"),
        (b"[" * 100_000, [JSON], "answered something else than JSON"),
        (b"please sign in", [("Content-Type", "text/plain")], "answered something else than JSON"),
        (b"\xff\xfe", [JSON], "answered something else than JSON"),
        (b"no gzip", [JSON, ("Content-Encoding", "gzip")], "broke the connection"),
        (b"<html>", [("Content-Type", "Text/HTML")], "answered a web page to /api/jobs/1/annotations"),
    ],
)
def test_what_is_no_answer_of_cvat_is_said(
    data: bytes, headers: list[tuple[str, str]], sentence: str, server: _Server
) -> None:
    server.send = _sending(data, *headers)
    with pytest.raises(CvatError) as caught:
        _read(server)
    assert sentence in str(caught.value)
    assert caught.value.status is None, "it may have been done: who wrote looks"


def test_what_is_compressed_is_read(server: _Server) -> None:
    server.send = _sending(gzip.compress(b'{"shapes": []}'), JSON, ("Content-Encoding", "gzip"))
    assert _read(server) == {"shapes": []}
