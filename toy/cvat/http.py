"""The stand-in over HTTP: who is let in, what is slow, what breaks.

Not over ASGI, whose servers answer 500 for an application that says nothing: a connection that breaks without a word is
half of what is tested here.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from toy.cvat.stand_in import PASSWORD, TOKEN, StandIn


@contextmanager
def serve(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve it on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.stand_in = stand_in
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    stand_in: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who asked is gone, which is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        stand_in = self.server.stand_in
        path, query = self._asked()
        if not self._begin():
            return
        if path == "/api/server/about":
            about = dict.fromkeys(("name", "description", "logo_url", "subtitle"), "CVAT")
            self._send(200, about | {"version": stand_in.version})
        elif not path.startswith("/api/"):
            self._send(200, b"<!doctype html>the editor")
        elif self._is_known():
            self._send(*stand_in.get(path, query))
        else:
            self._send(401, {"detail": "Authentication credentials were not provided."})

    def do_POST(self) -> None:
        given = self._given()
        path, _ = self._asked()
        if not self._begin():
            return
        self.server.stand_in.bodies.append(given)
        if path == "/api/auth/login":
            self._log_in(given)
        else:
            self._send(*self.server.stand_in.post(path, given, self.headers.get("X-Organization")))

    def do_PATCH(self) -> None:
        given = self._given()
        path, query = self._asked()
        stand_in = self.server.stand_in
        if not self._begin():
            return
        if path.endswith("/annotations"):
            _wait(stand_in.slow_writes)
            if stand_in.refused_writes:
                self._fail(stand_in.refused_writes.pop(0))
                return
        self._send(*stand_in.patch(path, query, given))

    def do_DELETE(self) -> None:
        path, _ = self._asked()
        if self._begin():
            self._send(*self.server.stand_in.delete(path))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _asked(self) -> tuple[str, Mapping[str, str]]:
        url = urlsplit(self.path)
        return url.path, {key: value[0] for key, value in parse_qs(url.query).items()}

    def _given(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _begin(self) -> bool:
        """Note the request; False where it has been answered with a failure."""
        stand_in = self.server.stand_in
        stand_in.asked.append(f"{self.command} {self.path}")
        _wait(stand_in.slow)
        if not stand_in.failures:
            return True
        self._fail(*stand_in.failures.pop(0))
        return False

    def _log_in(self, given: Any) -> None:
        if given == {"username": "ann", "password": PASSWORD}:
            self._send(200, {"key": "k"}, [("Set-Cookie", "sessionid=yes"), ("Set-Cookie", "csrftoken=c")])
        else:
            self._send(400, {"non_field_errors": ["Unable to log in with provided credentials."]})

    def _is_known(self) -> bool:
        cookie = self.headers.get("Cookie", "")
        return self.headers.get("Authorization") == f"Bearer {TOKEN}" or "sessionid=yes" in cookie

    def _fail(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        body = b"<!doctype html>sign in" if status == 200 else {"detail": "said so"}
        self._send(status, body, list((headers or {}).items()))

    def _send(self, status: int, body: object, headers: Sequence[tuple[str, str]] = ()) -> None:
        if not status:
            self.close_connection = True
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", _type_of(body))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _type_of(body: object) -> str:
    if not isinstance(body, bytes):
        return "application/json"
    return "text/html; charset=utf-8" if body.startswith(b"<!doctype html>") else "application/octet-stream"


def _wait(seconds: list[float]) -> None:
    """The next of them; not by time.sleep, which tests make quick."""
    if seconds:
        threading.Event().wait(seconds.pop(0))
