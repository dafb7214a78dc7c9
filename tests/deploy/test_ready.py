"""The images' health check, run as Docker runs it, against servers that answer as Nuclio's processor does."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import create_server

import pytest

DOCKER = Path(__file__).parents[2] / "docker"


def _ready(port: int) -> bool:
    command = [str(DOCKER / "ready.sh"), str(port)]
    return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0  # noqa: S603


@contextmanager
def _processor(*statuses: int) -> Iterator[int]:
    """The port of a server that answers /ready with one status after the other."""
    answers = iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers) if self.path == "/ready" else 404)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_container_is_healthy_only_once_the_model_is_loaded() -> None:
    with _processor(503, 200, 503) as port:
        assert [_ready(port) for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize("status", [201, 302, 404, 500])
def test_no_other_status_will_do(status: int) -> None:
    with _processor(status) as port:
        assert not _ready(port)


def test_a_closed_port_is_not_ready() -> None:
    with create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not _ready(port)


def test_a_server_that_does_not_answer_is_not_ready() -> None:
    with create_server(("127.0.0.1", 0)) as server:
        assert not _ready(server.getsockname()[1])


def test_it_is_the_images_health_check() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert re.search(r"^HEALTHCHECK .* CMD \[\"ready\"\]$", dockerfile, re.MULTILINE)
    assert "docker/ready.sh /usr/local/bin/ready\n" in dockerfile
    assert "!docker/ready.sh" in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
