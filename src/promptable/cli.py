"""The command ``promptable``. A command imports what it needs only when it runs."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptable.local.server import Running


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with these arguments (None: those of the process); returns the exit status."""
    parser = argparse.ArgumentParser(prog="promptable", description="Promptable foundation models inside CVAT.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_serve(commands.add_parser("serve", help="run the functions without Docker, for CVAT or for trying them out"))
    _add_download(commands.add_parser("download", help="fetch official checkpoints and check their SHA-256"))
    _add_labels(commands.add_parser("labels", help="labels.yaml to what CVAT reads, and CVAT's labels to labels.yaml"))
    parsed = parser.parse_args(arguments)
    status: int = parsed.run(parsed)
    return status


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("names", nargs="*", metavar="name", help="folders of --functions to serve (default: all)")
    add("--functions", type=Path, default=Path("functions"), metavar="DIR", help="folder of the functions")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for a CVAT in Docker (default: 127.0.0.1)")
    add(
        "--dashboard-port",
        type=int,
        default=8070,
        metavar="PORT",
        help="port of the Nuclio dashboard API; 0: a free one",
    )
    add("--port-base", type=int, metavar="PORT", help="first function's port (default: function.yaml's; 0: free ones)")
    add("--models", type=Path, metavar="DIR", help="folder with model folders grounding-dino, sam, sam2")
    add("--labels", type=Path, metavar="FILE", help="labels.yaml to use in place of the detector's labels")
    add("--env", type=_variable, action="append", default=[], metavar="NAME=VALUE", help="a setting of the functions")
    parser.set_defaults(run=_serve)


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="model", help="such as swin-t, vit_b, sam2.1-large")
    parser.add_argument(
        "--weights", type=Path, default=Path("weights"), metavar="DIR", help="where to (default: weights)"
    )
    parser.set_defaults(run=_download)


def _add_labels(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="command")
    render = commands.add_parser("render", help="check a labels.yaml and print the annotation spec that CVAT reads")
    render.add_argument("file", type=Path, metavar="labels.yaml")
    render.set_defaults(run=_render_labels)
    fetch = commands.add_parser(
        "from-cvat",
        help="write a labels.yaml with the labels of a task or project",
        epilog="Logs in with CVAT_ACCESS_TOKEN, or with CVAT_USERNAME and CVAT_PASSWORD, from the environment.",
    )
    fetch.add_argument("--url", required=True, help="where CVAT is, such as http://localhost:8080")
    source = fetch.add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=int, metavar="N", help="number of the task")
    source.add_argument("--project", type=int, metavar="N", help="number of the project")
    fetch.add_argument(
        "--output", type=Path, default=Path("labels.yaml"), metavar="FILE", help="new file (default: labels.yaml)"
    )
    fetch.set_defaults(run=_fetch_labels)


def _render_labels(parsed: argparse.Namespace) -> int:
    from promptable.labels import LabelError, render

    try:
        spec = render(parsed.file)
    except LabelError as error:
        sys.stderr.write(f"promptable labels: {error}\n")
        return 1
    sys.stdout.write(spec + "\n")
    return 0


def _fetch_labels(parsed: argparse.Namespace) -> int:
    from promptable.cvat.labels import CvatError, fetch

    try:
        labels = fetch(parsed.url, parsed.task, parsed.project)
        with parsed.output.open("x") as file:
            file.write(labels.to_yaml())
    except (CvatError, OSError) as error:
        sys.stderr.write(f"promptable labels: {error}\n")
        return 1
    for name in labels.left_out:
        sys.stderr.write(f"left out: {name!r} takes a shape that the detector does not answer\n")
    sys.stdout.write(f"{parsed.output}\n")
    return 0


def _download(parsed: argparse.Namespace) -> int:
    from promptable.models.checkpoints import download

    try:
        for model in parsed.models:
            for file in download(model, parsed.weights):
                sys.stdout.write(f"{file}\n")
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"promptable download: {error}\n")
        return 1
    return 0


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _serve(parsed: argparse.Namespace) -> int:
    from promptable.labels import LabelError
    from promptable.local.function_config import FunctionConfigError
    from promptable.local.options import Options
    from promptable.local.server import ServeError, serve

    options = Options(
        host=parsed.host,
        dashboard_port=parsed.dashboard_port,
        port_base=parsed.port_base,
        env=dict(parsed.env),
        models=parsed.models,
        labels=parsed.labels,
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serve(parsed.functions, parsed.names, options) as running:
            sys.stdout.write(_report(running))
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (FunctionConfigError, LabelError, ServeError) as error:
        sys.stderr.write(f"promptable serve: {error}\n")
        return 1
    return 0


def _report(running: "Running") -> str:
    rows = [("function", "state", "port", "")]
    rows += [
        (name, str(function.state), str(running.ports[name]), function.failure)
        for name, function in running.functions.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in table), _CVAT_HINT.format(port=running.dashboard_port)])


_CVAT_HINT = """
For CVAT, in the environment of cvat_server and cvat_worker_annotation:
  CVAT_SERVERLESS=1  CVAT_NUCLIO_HOST=<this machine, as CVAT sees it>  CVAT_NUCLIO_PORT={port}
A CVAT in Docker sees this machine as host.docker.internal, and needs --host 0.0.0.0 here.
Ctrl-C stops the functions.
"""
