"""``promptable preview``: words on a few frames, as a page with sliders."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.files import write_text
from promptable.cli.cvat.options import (
    add_model_arguments,
    add_server_arguments,
    check_local_has_labels,
    connected,
    frame_ranges,
    function_of,
)
from promptable.cli.cvat.outcome import told
from promptable.cli.terminal import DONE, FOUND, complain, left_alone, say
from promptable.cli.values import count, unit_number
from promptable.cvat.server.errors import OptionError

if TYPE_CHECKING:
    from promptable.cvat.functions import Function, Source
    from promptable.cvat.preview.page import PageFrame
    from promptable.cvat.preview.variants import Variant, VariantSpec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("pictures", "exactly one of").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=count, metavar="N", help="frames of a task")
    source.add_argument("--job", type=count, metavar="N", help="frames of a job")
    source.add_argument("--images", type=Path, metavar="DIR", help="pictures of a folder, without any CVAT")
    add_model_arguments(parser)
    add = parser.add_argument
    add("--labels", type=Path, metavar="FILE", help="labels.yaml to try (default: those the function is deployed with)")
    add(
        "--variant",
        type=_variant,
        action="append",
        default=[],
        metavar="NAME=labels.yaml[@WHERE]",
        help="a label list to compare, asked of another function where WHERE is given: a URL, with --via-cvat a name, "
        "with --local a model; may be repeated",
    )
    add(
        "--frames",
        type=frame_ranges,
        default="5",
        metavar="COUNT|N-N,N,...",
        help="how many, spread over the task, or which, such as 0-9,120,200- (default: 5)",
    )
    add("--seed", type=int, default=0, metavar="N", help="which frames the spreading takes (default: 0)")
    add("--threshold", type=unit_number, metavar="T", help="where all sliders begin (default: the labels' own)")
    add("--output", type=Path, default=Path("preview.html"), metavar="FILE", help="the page; its JSON lies beside it")
    add_server_arguments(parser)
    kept = "no page was written"
    parser.set_defaults(run=lambda parsed: told("preview", lambda: _preview(parsed), kept))


def _variant(text: str) -> "VariantSpec":
    from promptable.cvat.preview.variants import VariantSpec

    try:
        return VariantSpec.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _preview(parsed: argparse.Namespace) -> int:
    if parsed.output.suffix == ".json":
        raise OptionError(f"--output names the page, and its JSON lies beside it: {parsed.output.with_suffix('.html')}")
    for spec in _specs(parsed):
        check_local_has_labels(parsed, spec.labels)
    page, data, left_out = _made(parsed)
    write_text(parsed.output, page)
    write_text(parsed.output.with_suffix(".json"), data)
    say(f"{parsed.output}\n{parsed.output.with_suffix('.json')}")
    for sentence in left_out:
        complain("preview", f"left out: {sentence}")
    return FOUND if left_out else DONE


def _made(parsed: argparse.Namespace) -> "tuple[str, str, list[str]]":
    """The page, its JSON, and which pictures are broken."""
    from promptable.cvat.preview.run import preview, readable

    with nullcontext() if parsed.images else connected(parsed, writes=parsed.via_cvat is not None) as client:
        source, title, frames = _frames(parsed, client)
        shown, left_out = readable(frames)
        variants = _variants(parsed, client, source)
        chosen = "" if _count(parsed.frames) is None else f", chosen with seed {parsed.seed}"
        return *preview(title, shown, variants, chosen), left_out


def _frames(parsed: argparse.Namespace, client: Any) -> tuple["Source | None", str, "list[PageFrame]"]:
    """Where they are from, by CVAT's numbers and in words, and the frames."""
    from promptable.cvat.annotate.plan import named_frames, unknown_frames
    from promptable.cvat.functions import Source
    from promptable.cvat.preview.run import frames_of_cvat, frames_of_folder, spread
    from promptable.cvat.server.frames import Frames

    count = _count(parsed.frames)
    if parsed.images is not None:
        if count is None:
            raise OptionError("--frames of a folder is a count: its pictures have no numbers")
        title = f"Preview of the pictures in {parsed.images.resolve().name}/"
        return None, title, frames_of_folder(parsed.images, count, parsed.seed)
    frames = Frames(client, task=parsed.task, job=parsed.job)
    if count is None:
        wanted = sorted(named_frames(frames, parsed.frames))
        for sentence in unknown_frames(frames, parsed.frames):
            left_alone(sentence)
    else:
        wanted = spread(frames.numbers, count, parsed.seed)
    title = f"Preview of task {frames.task.id}, {frames.task.name}"
    return Source(frames.task.id, parsed.job), title, frames_of_cvat(frames, wanted)


def _count(text: str) -> int | None:
    """How many frames, None where they are named. Raises OptionError for none."""
    if not (text.isascii() and text.isdecimal()):
        return None
    if not int(text):
        raise OptionError("--frames: expected at least one frame")
    return int(text)


def _variants(parsed: argparse.Namespace, client: Any, source: "Source | None") -> "Sequence[Variant]":
    from promptable.cvat.labels.entries import listed
    from promptable.cvat.preview.variants import Variant

    specs = _specs(parsed)
    functions = {where: function_of(parsed, client, source, where) for where in {spec.where for spec in specs}}
    task_labels = listed(client, source.task) if parsed.via_cvat and source else []

    def variant(spec: "VariantSpec") -> Variant:
        function = functions[spec.where]
        return Variant(spec.name, function, _labels(spec, function), parsed.threshold, task_labels)

    return [variant(spec) for spec in specs]


def _specs(parsed: argparse.Namespace) -> "list[VariantSpec]":
    """Those of --variant, after that of --labels; without either, what the function is deployed with."""
    from promptable.cvat.preview.variants import VariantSpec

    own = [] if parsed.labels is None else [VariantSpec(parsed.labels.stem, parsed.labels)]
    specs = [*own, *parsed.variant] or [VariantSpec("deployed")]
    names = [spec.name for spec in specs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"--variant: two are called {twice[0]!r}: give each a name of its own")
    return specs


def _labels(spec: "VariantSpec", function: "Function") -> "Sequence[Mapping[str, Any]] | None":
    """The label list of a variant, None for the function's own. Raises OptionError where CVAT would not pass it on."""
    from promptable.cvat.labels.entries import read_labels

    if spec.labels is None:
        return None
    if not function.takes_labels:
        raise OptionError(
            f"variant {spec.name!r}: CVAT passes no labels on to {function}, it answers for those it is deployed "
            "with: use --function URL or --local to try others"
        )
    return read_labels(spec.labels)
