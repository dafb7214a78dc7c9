"""No process is left behind, however the server ends."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from .conftest import Serve, runs, wait_until, write_function

_BUSY = """
import os, time
from pathlib import Path
Path(__file__).with_name("pid").write_text(str(os.getpid()))
def init_context(context):
    time.sleep(float(os.environ.get("LOADING_SECONDS", 0)))
def handler(context, event):
    Path(__file__).with_name("busy").touch()
    time.sleep(60)
"""


def _start_command(functions: Path, *arguments: str) -> subprocess.Popen[str]:
    """``promptable serve`` on free ports, as a process of its own."""
    code = "import sys; from promptable.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "serve", "--functions", str(functions), "--dashboard-port", "0"]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, *arguments], stdout=pipe, stderr=subprocess.STDOUT, text=True)  # noqa: S603


def _read_until(server: subprocess.Popen[str], word: str) -> str:
    assert server.stdout is not None
    lines = []
    for line in server.stdout:
        lines.append(line)
        if word in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def _port(report: str, function: str) -> int:
    return next(int(line.split()[2]) for line in report.splitlines() if line.split()[:1] == [function])


def test_nothing_runs_after_the_block(tmp_path: Path, serve_all: Serve, client: httpx.Client) -> None:
    write_function(tmp_path, "cats", trigger={"numWorkers": 2})
    with serve_all() as running:
        pid = client.post(running.url("cats"), json={}).json()["pid"]
        assert runs(pid)
    assert not runs(pid)
    with pytest.raises(httpx.ConnectError):
        client.get(running.dashboard_url)


def test_an_idle_process_ends_in_peace(tmp_path: Path, serve_all: Serve) -> None:
    main = textwrap.dedent("""
        import atexit
        from pathlib import Path
        atexit.register(Path(__file__).with_name("goodbye").touch)
        def handler(context, event): pass
    """)
    folder = write_function(tmp_path, "cats", main)
    with serve_all():
        assert not (folder / "goodbye").exists()
    assert (folder / "goodbye").exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_reports_serves_and_stops_on_a_signal(tmp_path: Path, client: httpx.Client, end: int) -> None:
    write_function(tmp_path, "cats")
    server = _start_command(tmp_path)
    report = _read_until(server, "Ctrl-C")
    pid = client.post(f"http://127.0.0.1:{_port(report, 'cats')}", json={}).json()["pid"]
    server.send_signal(end)
    assert server.wait(10) == 0
    assert not runs(pid)
    assert "CVAT_NUCLIO_PORT=" in report


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_function_that_still_loads_ends_with_the_command(tmp_path: Path, end: int) -> None:
    folder = write_function(tmp_path, "cats", _BUSY)
    server = _start_command(tmp_path, "--env", "LOADING_SECONDS=60")
    wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text() != "")
    pid = int((folder / "pid").read_text())
    server.send_signal(end)
    server.wait(10)
    wait_until(lambda: not runs(pid))


def test_a_busy_process_ends_when_the_command_is_killed(tmp_path: Path) -> None:
    folder = write_function(tmp_path, "cats", _BUSY)
    server = _start_command(tmp_path)
    port = _port(_read_until(server, "Ctrl-C"), "cats")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"http://127.0.0.1:{port}", json={}, timeout=0.3)
    pid = int((folder / "pid").read_text())
    assert (folder / "busy").exists()
    assert runs(pid)
    os.kill(server.pid, signal.SIGKILL)
    server.wait(10)
    wait_until(lambda: not runs(pid))
