"""The options that every command over a CVAT server shares: which server, and which model."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cvat.server.errors import CvatError, OptionError

if TYPE_CHECKING:
    from promptable.cvat.functions import Function, Source


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """The server and who logs in, by cvat-cli's names, and ``--url`` for the first."""
    group = parser.add_argument_group(
        "CVAT",
        "The password comes from CVAT_PASSWORD (or PASS) or a prompt, an access token from CVAT_ACCESS_TOKEN. "
        "Without any of these, cvat-cli's default profile.",
    )
    group.add_argument("--url", help="where CVAT is, such as http://localhost:8080; without a scheme it is https")
    group.add_argument("--server-host", metavar="HOST", help="the same in two parts")
    group.add_argument("--server-port", type=int, metavar="PORT")
    group.add_argument("--auth", type=_user, metavar="USER", help="who logs in with a password")
    group.add_argument("--org", "--organization", metavar="SLUG", help='the organization\'s short name; "" for none')
    group.add_argument("--profile", metavar="NAME", help="a profile that cvat-cli has saved")


def frame_ranges(text: str) -> str:
    """Frames such as 0-99,120,200-, as they are written: for argparse, which says what does not fit."""
    from promptable.cvat.annotate.options import parse_frames

    try:
        parse_frames(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_model_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """``--function URL``, ``--via-cvat NAME`` or ``--local``."""
    group = parser.add_argument_group("model", "exactly one of").add_mutually_exclusive_group(required=required)
    group.add_argument(
        "--function",
        metavar="URL",
        help="a deployed function, asked directly, such as http://localhost:32101; from another machine: "
        "ssh -L 32101:localhost:32101 HOST",
    )
    group.add_argument("--via-cvat", metavar="NAME", help="a function that CVAT lists, asked through CVAT")
    group.add_argument(
        "--local", action="store_true", help="in this process, as the environment's PROMPTABLE_ settings say"
    )


def check_local_has_labels(parsed: argparse.Namespace, labels: Path | str | None) -> None:
    """Raise OptionError where a detector in this process is to look for its own labels."""
    if parsed.local and labels is None:
        raise OptionError("--local has no labels of its own: --labels FILE names those to look for")


def _user(text: str) -> str:
    if ":" in text:
        raise argparse.ArgumentTypeError(
            "expected a user name alone: every user of this machine can read a password here; CVAT_PASSWORD holds it"
        )
    return text


@contextmanager
def connected(parsed: argparse.Namespace, *, writes: bool = False) -> Iterator[Any]:
    """The cvat-sdk Client that the options of ``add_server_arguments`` describe. Raises CvatError."""
    try:
        from promptable.cvat.server.client import Login, connect
    except ImportError:
        raise CvatError("cvat-sdk is not installed: make cvat, or pip install 'promptable[cvat]'") from None
    login = Login(_url(parsed), parsed.auth, parsed.profile, parsed.org)
    with connect(login, writes=writes) as client:
        yield client


def function_of(
    parsed: argparse.Namespace,
    client: Any = None,
    source: "Source | None" = None,
    where: str | None = None,
    kind: str = "detector",
) -> "Function":
    """The function that the options of ``add_model_arguments`` name; ``where`` replaces its URL, name or model.

    ``kind`` is what it must be, detector or tracker. Through CVAT it is asked about frames of ``source``.
    Raises CvatError.
    """
    from promptable.cvat.functions import CvatFunction, DirectFunction

    if parsed.function is not None:
        function = DirectFunction(where or parsed.function, kind)
        function.reach()
        return function
    if parsed.local:
        return _local(where, kind)
    if parsed.via_cvat is None:
        raise OptionError("expected a model: --function URL, --via-cvat NAME or --local")
    if client is None or source is None:
        raise OptionError("--via-cvat asks about frames of CVAT: expected a task or a job, not a folder of pictures")
    return CvatFunction(client, where or parsed.via_cvat, source, kind)


def _local(model: str | None, kind: str) -> "Function":
    try:
        from promptable.cvat.local_function import LocalFunction

        return LocalFunction(kind, model)
    except ImportError as error:
        raise CvatError(f"--local needs the models' packages ({error.name} is missing): make setup") from None


def _url(parsed: argparse.Namespace) -> str | None:
    parts = [parsed.server_host, parsed.server_port]
    if parsed.profile is not None and any(part is not None for part in (*parts, parsed.url, parsed.auth)):
        raise OptionError("--profile says where CVAT is and who logs in: leave out --url, --server-host and --auth")
    if parsed.url is not None:
        if any(part is not None for part in parts):
            raise OptionError("--url and --server-host say the same: leave one of them out")
        return str(parsed.url)
    if not any(part is not None for part in parts):
        return None
    host = parsed.server_host or "http://localhost"
    return f"{host}:{parsed.server_port}" if parsed.server_port is not None else str(host)
