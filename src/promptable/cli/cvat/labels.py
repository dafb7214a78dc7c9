"""``promptable labels``: labels.yaml to what CVAT reads, and CVAT's labels to labels.yaml."""

import argparse
from pathlib import Path

from promptable.cli.cvat.options import add_server_arguments, connected
from promptable.cli.cvat.outcome import told
from promptable.cli.terminal import DONE, complain, say, warn
from promptable.cli.values import count
from promptable.cli.weights import add_folder
from promptable.cvat.server.errors import CvatError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="command")
    render = commands.add_parser("render", help="check a labels.yaml and print the annotation spec that CVAT reads")
    render.add_argument("file", type=Path, metavar="labels.yaml")
    add_folder(render, "folder with the model's vocab.txt, to check prompts as the model reads them")
    render.set_defaults(run=_render_labels)
    fetch = commands.add_parser("from-cvat", help="write a labels.yaml with the labels of a task or project")
    add_server_arguments(fetch)
    source = fetch.add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=count, metavar="N", help="number of the task")
    source.add_argument("--project", type=count, metavar="N", help="number of the project")
    fetch.add_argument(
        "--output", type=Path, default=Path("labels.yaml"), metavar="FILE", help="new file (default: labels.yaml)"
    )
    kept = "no file was written"
    fetch.set_defaults(run=lambda parsed: told("labels", lambda: _fetch_labels(parsed), kept))


def _render_labels(parsed: argparse.Namespace) -> int:
    from promptable.config.labels import LabelError, render

    try:
        spec = render(parsed.file)
        _check_spelling(parsed.file, spec, parsed.weights / "vocab.txt")
    except LabelError as error:
        complain("labels", str(error))
        return 1
    say(spec)
    return 0


def _check_spelling(file: Path, spec: str, vocabulary: Path) -> None:
    """Check the prompts in the model's own pieces of words, or say that nobody has. Raises LabelError."""
    from promptable.config.labels import check_spelling, load, naming

    try:
        from promptable.models.grounding_dino.spelling import load_vocabulary, spell

        tokenizer = load_vocabulary(vocabulary)
    except ImportError as error:
        _not_checked(file, f"the small install has no {error.name} (make setup)")
        return
    except FileNotFoundError as error:
        _not_checked(file, f"{error} (promptable download swin-t fetches its vocabulary, --weights names the folder)")
        return
    with naming(file):
        check_spelling(load(spec), lambda prompt: spell(prompt, tokenizer))


def _not_checked(file: Path, why: str) -> None:
    warn(f"{file}: not checked as the model reads it: {why}; the function checks when it starts")


def _fetch_labels(parsed: argparse.Namespace) -> int:
    from promptable.cvat.labels.entries import fetch

    if parsed.output.exists():
        raise CvatError(f"{parsed.output} exists: move it away, or name another file with --output")
    with connected(parsed) as client:
        labels = fetch(client, parsed.task, parsed.project)
    with parsed.output.open("x", encoding="utf-8") as file:
        file.write(labels.to_yaml())
    for name in labels.left_out:
        warn(f"left out: {name!r} takes a shape that the detector does not answer")
    if labels.tags:
        names = ", ".join(map(repr, labels.tags))
        warn(f"tags are words to look for too: {names}; take out those by which people mark frames")
    say(parsed.output)
    return DONE
