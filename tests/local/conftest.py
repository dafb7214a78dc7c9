"""Small functions in a temporary folder: a function.yaml and a main.py without any model."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from promptable.local.options import Options
from promptable.local.server import Running, serve

_BUSY = 120
"""Seconds that a process may take on a machine that is busy with others."""

HEALTHY = """
import json, os

def init_context(context):
    context.user_data.answered = 0

def handler(context, event):
    context.user_data.answered += 1
    body = event.body if isinstance(event.body, (dict, list)) else {"type": type(event.body).__name__}
    answer = {
        "body": body, "pid": os.getpid(), "answered": context.user_data.answered, "path": event.path,
        "method": event.method, "headers": dict(event.headers), "size": event.size, "worker": context.worker_id,
        "trigger": [context.trigger.kind, context.trigger.name, event.trigger.kind, event.trigger.name],
    }
    return context.Response(body=json.dumps(answer), content_type="application/json")
"""


def write_function(
    root: Path, name: str, main: str = HEALTHY, *, trigger: Mapping[str, Any] | None = None, **spec: Any
) -> Path:
    """Write the folder ``root/name``; ``trigger`` and ``spec`` add to its function.yaml."""
    folder = root / name
    folder.mkdir(parents=True)
    document = {
        "metadata": {"name": name, "annotations": {"type": "detector", "spec": '[{"id": 0, "name": "cat"}]'}},
        "spec": {
            "description": f"The function {name}",
            "handler": "main:handler",
            "triggers": {
                "web": {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 1000 * _BUSY, **(trigger or {})}
            },
            **spec,
        },
    }
    (folder / "function.yaml").write_text(yaml.safe_dump(document))
    (folder / "main.py").write_text(main)
    return folder


Serve = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def serve_all(tmp_path: Path) -> Serve:
    """Serve the functions written to ``tmp_path`` on free ports; keywords as in Options."""

    @contextmanager
    def serve_all(*names: str, **options: Any) -> Iterator[Running]:
        with serve(tmp_path, names, Options(**{"dashboard_port": 0, "ready_seconds": _BUSY, **options})) as running:
            yield running

    return serve_all


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """An HTTP client that does not wait for ever."""
    with httpx.Client(timeout=_BUSY) as client:
        yield client


def runs(pid: int) -> bool:
    """Whether this process exists and is not a zombie."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    return bool(state.strip()) and not state.startswith("Z")


def wait_until(condition: Callable[[], bool], seconds: float = _BUSY) -> None:
    """Wait for something another process does. Fails if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
