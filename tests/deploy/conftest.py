"""A machine of stand-ins, with three answering functions on its ports."""

import json
import random
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.machine import Machine, write_healthy

FUNCTIONS = ("grounding-dino", "sam-interactor", "sam2-tracker")
_BOX = {"type": "rectangle", "points": [16, 16, 48, 48]}
_ANSWERS: Sequence[Any] = ([], {"shapes": []}, {"shapes": [_BOX], "states": [{"step": 1}]})


class Answering(ThreadingHTTPServer):
    """Answers every request with ``answer`` and status ``status``; ``bodies`` are the POSTs it got."""

    def __init__(self, port: int, answer: Any) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer, self.status = answer, 200
        self.bodies: list[Any] = []


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer()

    def _answer(self) -> None:
        body = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[tuple[Answering, ...]]:
    """The three functions, on three ports in a row."""
    servers = _bound()
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def _bound() -> tuple[Answering, ...]:
    while True:
        first = random.randrange(20_000, 30_000)
        servers: list[Answering] = []
        try:
            for number, answer in enumerate(_ANSWERS):
                servers.append(Answering(first + number, answer))
        except OSError:
            for server in servers:
                server.server_close()
        else:
            return tuple(servers)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a machine answers on which everything is in order."""
    folder = tmp_path_factory.mktemp("healthy")
    write_healthy(folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path, answering: tuple[Answering, ...], healthy: Path) -> Machine:
    """A machine on which everything is in order and whose functions' ports are their own containers'."""
    first = answering[0].server_port
    ports = range(first, first + len(answering))
    machine = Machine(tmp_path, ports, healthy)
    for port, function in zip(ports, FUNCTIONS, strict=True):
        machine.answer(f"docker ps .*publish={port}", f"nuclio-nuclio-{function}")
    return machine
