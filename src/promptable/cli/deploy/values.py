"""What the text of one option says; what is wrong with it is argparse's ArgumentTypeError."""

import argparse
import re
from pathlib import Path

from promptable.deploy.rendering.target import Toleration

LAST_PORT = 65535


def text(given: str) -> str:
    """Any but the empty text."""
    if not given:
        raise argparse.ArgumentTypeError("needs a value")
    return given


def path(given: str) -> Path:
    """A path, from the working directory on."""
    try:
        return Path(text(given)).expanduser().absolute()
    except RuntimeError:  # pathlib's for a home that the system does not know
        raise argparse.ArgumentTypeError(f"the system does not know whose home {given!r} is in") from None


def host_and_port(given: str) -> tuple[str, int]:
    """``host:port``"""
    if not re.fullmatch(r"[A-Za-z0-9._-]+:[0-9]{1,5}", given):
        raise argparse.ArgumentTypeError(
            "expected HOST:PORT without user or password: a password on a command line can be read by everyone on the"
            " machine; use --redis-password-file (local) or --redis-secret (kube)"
        )
    host, _, port = given.rpartition(":")
    if not 1 <= int(port) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to {LAST_PORT}, got {port}")
    return host, int(port)


def pairs(given: str) -> dict[str, str]:
    """``key=value,key=value``"""
    found = [pair.partition("=") for pair in given.split(",")]
    if not all(key and equals for key, equals, _ in found):
        raise argparse.ArgumentTypeError(f"expected key=value[,key=value], got {given!r}")
    return {key: value for key, _, value in found}


def toleration(given: str) -> Toleration:
    """``key[=value][:effect]``"""
    rest, _, effect = given.partition(":")
    key, _, value = rest.partition("=")
    if not key:
        raise argparse.ArgumentTypeError(f"expected key[=value][:effect], got {given!r}")
    return Toleration(key, value, effect)


def replicas(given: str) -> tuple[int, int]:
    """``n`` or ``min:max``, from 1 on"""
    least, _, most = given.partition(":")
    try:
        found = int(least), int(most or least)
    except ValueError:
        found = (0, 0)
    if not 1 <= found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, or min:max, got {given!r}")
    return found
