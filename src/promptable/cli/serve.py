"""``promptable serve``: the functions without Docker."""

import argparse
import logging
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from promptable.cli.terminal import say, show

if TYPE_CHECKING:
    from promptable.local.options import Options
    from promptable.local.server import Running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("names", nargs="*", metavar="name", help="folders of --functions to serve (default: all)")
    add("--functions", type=Path, default=Path("functions"), metavar="DIR", help="folder of the functions")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for a CVAT in Docker (default: 127.0.0.1)")
    add(
        "--allow-host",
        type=_host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="public name of this machine that CVAT calls it by, such as gpu.example.org; addresses, localhost, "
        "host.docker.internal and other private names need none",
    )
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


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"expected a name such as gpu.example.org, got {text!r}")
    return text


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _serve(parsed: argparse.Namespace) -> int:
    from promptable.config.environment import SettingsError, check
    from promptable.config.function_yaml import FunctionConfigError
    from promptable.config.labels import LabelError
    from promptable.config.nuclio import FunctionType
    from promptable.local.server import ServeError, serve

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        check(dict(parsed.env), *FunctionType)
        with serve(parsed.functions, parsed.names, _options(parsed)) as running:
            _report(running)
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (FunctionConfigError, LabelError, ServeError, SettingsError) as error:
        sys.stderr.write(f"promptable serve: {error}\n")
        return 1
    return 0


def _options(parsed: argparse.Namespace) -> "Options":
    from promptable.local.options import Options

    return Options(
        host=parsed.host,
        allowed_hosts=parsed.allow_host,
        dashboard_port=parsed.dashboard_port,
        port_base=parsed.port_base,
        env=dict(parsed.env),
        models=parsed.models,
        labels=parsed.labels,
    )


def _report(running: "Running") -> None:
    rows = [
        (name, str(function.state), running.ports[name], function.failure)
        for name, function in running.functions.items()
    ]
    show(("function", "state", "port", ""), rows)
    say(_CVAT_HINT.format(port=running.dashboard_port))


_CVAT_HINT = """
For CVAT, in the environment of cvat_server and cvat_worker_annotation:
  CVAT_SERVERLESS=1  CVAT_NUCLIO_HOST=<this machine, as CVAT sees it>  CVAT_NUCLIO_PORT={port}
A CVAT in Docker sees this machine as host.docker.internal, and needs --host 0.0.0.0 here.
A CVAT that calls it by a public name, such as gpu.example.org, needs --allow-host with that name.
Ctrl-C stops the functions."""
