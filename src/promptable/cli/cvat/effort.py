"""``promptable effort``: what people corrected of what automatic runs wrote, and which settings had been better."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.files import write_text
from promptable.cli.cvat.options import add_server_arguments, connected, frame_ranges
from promptable.cli.cvat.outcome import told
from promptable.cli.cvat.source import named, source_name, sources
from promptable.cli.terminal import DONE, left_alone, say, show
from promptable.cli.values import count, number, unit_number
from promptable.cvat.server.errors import CvatError, OptionError

if TYPE_CHECKING:
    from promptable.cvat.effort.page.pictures import Pictures
    from promptable.cvat.effort.report import Report
    from promptable.cvat.effort.suggest.advice import Advice
    from promptable.cvat.effort.suggest.evidence import EvidenceByModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("annotations", "exactly one of").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", type=count, metavar="N", help="those of a task")
    source.add_argument("--project", type=count, metavar="N", help="those of all tasks of a project, in one report")
    add = parser.add_argument
    add(
        "--reviewed",
        type=_reviewed,
        metavar="FRAMES|all",
        help="which frames people have looked at, such as 0-99,120,200- (default: those of completed jobs)",
    )
    add("--seconds-per-box", type=_seconds, metavar="S", help="what an object takes to draw: says what was saved")
    add(
        "--seconds-per-edit",
        type=_seconds,
        metavar="S",
        help="what one takes to correct, relabel or delete (default: as much as drawing it)",
    )
    add("--output", type=Path, metavar="FILE", help="the page; its JSON lies beside it (default: effort-task-N.html)")
    _add_advice(parser.add_argument_group("what to set better"))
    add_server_arguments(parser)
    kept = "it only reads, and no report was written"
    parser.set_defaults(job=None, run=lambda parsed: told("effort", lambda: _effort(parsed), kept))


def _add_advice(group: Any) -> None:
    add = group.add_argument
    add(
        "--suggest",
        type=Path,
        nargs="?",
        const=Path("labels-suggested.yaml"),
        metavar="FILE",
        help="write a labels.yaml with the thresholds that had been best (FILE: labels-suggested.yaml)",
    )
    add("--precision", type=unit_number, metavar="P", help="the most found at this precision (default: the best F1)")
    add(
        "--catch",
        type=unit_number,
        default=0.9,
        metavar="SHARE",
        help="the share of errors that people are to find by looking at what is unsure (default: 0.9)",
    )
    add(
        "--labels",
        type=Path,
        metavar="FILE",
        help="labels.yaml that the function is deployed with, if it was not given",
    )


def _reviewed(text: str) -> str:
    return text if text == "all" else frame_ranges(text)


def _seconds(text: str) -> float:
    return number(text, "seconds, at least 0", lambda value: 0 <= value < float("inf"))


def _effort(parsed: argparse.Namespace) -> int:
    _check(parsed)
    with connected(parsed) as client:
        report, pictures = _report(parsed, client)
        _write(parsed, client.api_map.host, report, pictures)
    return DONE


def _check(parsed: argparse.Namespace) -> None:
    """Raise OptionError for options that do not go together, CvatError for a file that would be lost."""
    if parsed.output is not None and parsed.output.suffix == ".json":
        raise OptionError(f"--output names the page, and its JSON lies beside it: {parsed.output.with_suffix('.html')}")
    if parsed.seconds_per_edit is not None and parsed.seconds_per_box is None:
        raise OptionError("--seconds-per-edit: say with --seconds-per-box what drawing takes")
    if parsed.suggest is not None and parsed.suggest.exists() and not _is_advice(parsed.suggest):
        raise CvatError(f"--suggest: {parsed.suggest} is there, and is not overwritten: name another file")


def _is_advice(file: Path) -> bool:
    """Whether an earlier report suggested it."""
    from promptable.cvat.effort.suggest.advice import OPENING

    return file.read_text(encoding="utf-8", errors="replace").startswith(OPENING)


def _report(parsed: argparse.Namespace, client: Any) -> tuple["Report", "Pictures"]:
    """What there is to say, and the pictures of the worst."""
    from promptable.cvat.effort.figures import saved
    from promptable.cvat.effort.page.pictures import pictures
    from promptable.cvat.effort.report import Report
    from promptable.cvat.effort.reviewed import Reviewed
    from promptable.cvat.effort.run import add_task
    from promptable.cvat.effort.suggest.evidence import EvidenceByModel

    reviewed = Reviewed.parse(parsed.reviewed)
    tasks, title = _tasks(parsed, client)
    report = Report(title, str(reviewed))
    evidence = None if parsed.suggest is None else EvidenceByModel()
    for frames in tasks:
        add_task(client, frames, reviewed, report, evidence)
    if evidence is not None:
        report.advice = _advice(parsed, evidence)
    if parsed.seconds_per_box is not None:
        report.saved = saved(report.effort.total(), parsed.seconds_per_box, parsed.seconds_per_edit)
    return report, pictures(report, tasks)


def _advice(parsed: argparse.Namespace, evidence: "EvidenceByModel") -> "Advice":
    from promptable.cvat.effort.suggest.advice import advise
    from promptable.cvat.effort.suggest.thresholds import Goal
    from promptable.cvat.labels.entries import read_labels

    latest = evidence.latest()
    if latest is None:
        raise CvatError("--suggest: no reviewed frame that a run in the journal has looked at")
    labels = None if parsed.labels is None else read_labels(parsed.labels)
    return advise(latest, labels, Goal(parsed.precision), parsed.catch)


def _tasks(parsed: argparse.Namespace, client: Any) -> tuple[list[Any], str]:
    """The frames of each task, and what the report is called."""
    tasks = list(sources(parsed, client, left_alone))
    return tasks, f"Effort of {named(parsed, client, (frames.task for frames in tasks))}"


def _write(parsed: argparse.Namespace, server: str, report: "Report", pictures: "Pictures") -> None:
    from promptable.cvat.effort.page.page import render

    page = parsed.output or Path("effort-{}-{}.html".format(*source_name(parsed)))
    write_text(page, render(report, server, pictures))
    write_text(page.with_suffix(".json"), report.to_json())
    _show(report)
    if report.advice is not None:
        write_text(parsed.suggest, report.advice.to_yaml())
        say(parsed.suggest)
    say(f"{page}\n{page.with_suffix('.json')}")


def _show(report: "Report") -> None:
    """The table, and what it does not say."""
    from promptable.cvat.effort.figures import by_label
    from promptable.cvat.effort.judging.verdicts import Verdict

    labels = report.effort.labels()
    shown = [*labels, report.effort.total()] if len(labels) > 1 else labels
    tracks = [replace(label, name=f"{label.name}, tracks") for label in by_label(report.effort.tracks)]
    rows = [
        [label.name, label.automatic, *(label.counts.get(verdict, 0) for verdict in Verdict)]
        for label in (*shown, *tracks)
    ]
    show(("label", "automatic", *Verdict), rows)
    for sentence in report.sentences():
        say(sentence)
