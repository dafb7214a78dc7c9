"""``python -m promptable.deploy``: the steps of deploy.sh in Python. A step imports what it needs only when it runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from promptable.deploy.target import Device, Platform, Scheduling, SharedRedis, Target, Toleration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; returns the exit status."""
    parser = argparse.ArgumentParser(prog="promptable.deploy", description="Steps of deploy.sh.")
    steps = parser.add_subparsers(required=True, metavar="step")
    _add_render(steps.add_parser("render", help="print the function.yaml to deploy"))
    _add_labels(steps.add_parser("labels", help="say what is wrong with a labels.yaml"))
    _add_reported(steps.add_parser("reported", help="print the function.yaml that Nuclio reports, if it is not known"))
    _add_smoke(steps.add_parser("smoke", help="send two requests; print their milliseconds"))
    _add_weights(steps.add_parser("weights", help="collect checkpoints, checked, into a folder"))
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _add_render(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("function_yaml", type=Path)
    add("--platform", type=Platform, required=True)
    add("--namespace", required=True)
    add("--image", required=True)
    add("--device", type=Device, required=True)
    add("--network", default="")
    add("--port", type=int)
    add("--model", default="")
    add("--labels", type=Path)
    add("--answer-form", default="")
    add("--redis", default="")
    add("--redis-tls", action="store_true")
    add("--redis-password-file", type=Path)
    add("--redis-secret", default="")
    add("--node-selector", type=_pairs, default={})
    add("--toleration", type=_toleration, action="append", default=[])
    add("--replicas", type=_replicas, default=(1, 1))
    add("--pull-secret", default="")
    add("--weights-pvc", default="")
    parser.set_defaults(run=_render)


def _render(parsed: argparse.Namespace) -> None:
    from promptable.deploy.render import render

    scheduling = Scheduling(
        node_selector=parsed.node_selector,
        tolerations=tuple(parsed.toleration),
        min_replicas=parsed.replicas[0],
        max_replicas=parsed.replicas[1],
        pull_secret=parsed.pull_secret,
        weights_claim=parsed.weights_pvc,
    )
    target = Target(
        platform=parsed.platform,
        namespace=parsed.namespace,
        image=parsed.image,
        device=parsed.device,
        network=parsed.network,
        port=parsed.port,
        model=parsed.model,
        labels=parsed.labels,
        answer_form=parsed.answer_form,
        redis=_redis(parsed),
        scheduling=scheduling,
    )
    sys.stdout.write(render(parsed.function_yaml, target))


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("labels", type=Path)
    parser.set_defaults(run=_labels)


def _labels(parsed: argparse.Namespace) -> None:
    from promptable.config.labels import render

    render(parsed.labels)


def _add_reported(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("said", type=Path, help="what nuctl get function --output yaml printed")
    parser.add_argument("--known", type=Path, required=True, help="the function.yaml deployed last; it may be absent")
    parser.set_defaults(run=_reported)


def _reported(parsed: argparse.Namespace) -> None:
    from promptable.deploy.reported import unknown

    sys.stdout.write(unknown(parsed.said.read_text(), parsed.known.read_text() if parsed.known.exists() else ""))


def _redis(parsed: argparse.Namespace) -> SharedRedis | None:
    """What ``--redis host:port`` and its companions say; None without it."""
    host, _, port = parsed.redis.rpartition(":")
    if not host:
        return None
    return SharedRedis(host, int(port), parsed.redis_tls, parsed.redis_password_file, parsed.redis_secret)


def _add_smoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function_yaml", type=Path)
    parser.add_argument("url")
    parser.set_defaults(run=_smoke)


def _smoke(parsed: argparse.Namespace) -> None:
    from promptable.deploy.smoke import call_twice

    timing = call_twice(parsed.url, yaml.safe_load(parsed.function_yaml.read_text()))
    sys.stdout.write(f"{timing.first:.0f} {timing.second:.0f}\n")


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*")
    for folder in ("--local", "--cache", "--into"):
        parser.add_argument(folder, type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=_weights)


def _weights(parsed: argparse.Namespace) -> None:
    from promptable.deploy.weights import collect

    for file in collect(parsed.models, parsed.local, parsed.cache, parsed.into):
        sys.stdout.write(f"{file}\n")


def _pairs(text: str) -> dict[str, str]:
    """``key=value,key=value``"""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(key and equals for key, equals, _ in pairs):
        raise argparse.ArgumentTypeError(f"expected key=value[,key=value], got {text!r}")
    return {key: value for key, _, value in pairs}


def _toleration(text: str) -> Toleration:
    """``key[=value][:effect]``"""
    rest, _, effect = text.partition(":")
    key, _, value = rest.partition("=")
    if not key:
        raise argparse.ArgumentTypeError(f"expected key[=value][:effect], got {text!r}")
    return Toleration(key, value, effect)


def _replicas(text: str) -> tuple[int, int]:
    """``n`` or ``min:max``, from 1 on"""
    least, _, most = text.partition(":")
    try:
        replicas = int(least), int(most or least)
    except ValueError:
        replicas = (0, 0)
    if not 1 <= replicas[0] <= replicas[1]:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, or min:max, got {text!r}")
    return replicas


if __name__ == "__main__":
    sys.exit(main())
