"""``promptable stats``: what a task, project or job holds, and what of it looks wrong. It only reads."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.files import write_text
from promptable.cli.cvat.options import add_server_arguments, connected
from promptable.cli.cvat.outcome import told
from promptable.cli.cvat.source import add_source_arguments, named, source_name, sources
from promptable.cli.terminal import DONE, FOUND, complain, say, show
from promptable.cvat.plural import counted
from promptable.cvat.stats.faults import Kind

if TYPE_CHECKING:
    from promptable.cvat.stats.figures import Figures, JobFigures

_MOST_JOBS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    add = parser.add_argument
    add(
        "--since",
        type=_date,
        metavar="DATE",
        help="only jobs in which anything was changed since then, such as 2026-11-01 or 2026-11-01T08:00 (UTC)",
    )
    add(
        "--by-annotator",
        action="store_true",
        help="also figures by who a job is assigned to (default: nobody is named)",
    )
    add(
        "--fail-on",
        type=_kinds,
        default=(),
        metavar="KIND,...",
        help=f"exit with status 3 if there is any of these: {', '.join(Kind)}, or all",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    add("--page", type=Path, metavar="FILE", help="where the page goes (default: stats-task-N.html)")
    add_server_arguments(parser)
    kept = "it only reads, and no page was written"
    parser.set_defaults(run=lambda parsed: told("stats", lambda: _stats(parsed), kept))


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date such as 2026-11-01, got {text!r}") from None
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)


def _kinds(text: str) -> Sequence[Kind]:
    names = [part.strip() for part in text.split(",")]
    if names == ["all"]:
        return list(Kind)
    unknown = [name for name in names if name not in set(Kind)]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(Kind)}, or all, got {unknown[0]!r}")
    return [Kind(name) for name in names]


def _stats(parsed: argparse.Namespace) -> int:
    with connected(parsed) as client:
        (figures, title), host = _figures(parsed, client), client.api_map.host
    _show(figures, host, by_annotator=parsed.by_annotator)
    _write(parsed, title, figures, host)
    return _verdict(figures, parsed.fail_on)


def _verdict(figures: "Figures", fail_on: Sequence[Kind]) -> int:
    found = [f"{figures.faults.counts[kind]} {kind}" for kind in fail_on if figures.faults.counts[kind]]
    if found:
        complain("stats", ", ".join(found))
    return FOUND if found else DONE


def _figures(parsed: argparse.Namespace, client: Any) -> tuple["Figures", str]:
    """The figures, and what their page is called."""
    from promptable.cvat.progress import Progress
    from promptable.cvat.stats.collect import add_task, find_outliers
    from promptable.cvat.stats.figures import Figures

    figures, tasks = Figures(), []
    with Progress() as progress:
        for frames in sources(parsed, client, figures.left_out.append):
            bar = progress.begin(f"task {frames.task.id}", len(frames.numbers))
            add_task(figures, client, frames, bar, since=parsed.since)
            tasks.append(frames.task)
    find_outliers(figures)
    return figures, f"Statistics of {named(parsed, client, tasks)}"


def _write(parsed: argparse.Namespace, title: str, figures: "Figures", host: str) -> None:
    from promptable.cvat.stats.page import render

    page = parsed.page or Path("stats-{}-{}.html".format(*source_name(parsed)))
    since = None if parsed.since is None else f"jobs changed since {parsed.since:%Y-%m-%d %H:%M} UTC"
    html = render(title, since, figures, host, by_annotator=parsed.by_annotator)
    write_text(page, html)
    say(page)
    if parsed.json is not None:
        content = figures.as_json(host, by_annotator=parsed.by_annotator)
        write_text(parsed.json, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        say(parsed.json)


def _show(figures: "Figures", host: str, *, by_annotator: bool) -> None:
    for sentence in figures.left_out:
        say(f"left out: {sentence}")
    totals = figures.totals()
    say(
        f"{counted(totals['objects'], 'object')} on {totals['annotated_frames']} of {totals['frames']} frames: "
        f"{counted(totals['shapes'], 'shape')}, {counted(totals['tracks'], 'track')}; {counted(totals['tags'], 'tag')}"
    )
    _show_labels(figures)
    _show_jobs(figures)
    if by_annotator:
        _show_annotators(figures)
    _show_faults(figures, host)


def _show_labels(figures: "Figures") -> None:
    from promptable.cvat.stats.figures import spread

    rows = []
    for label in figures.used:
        width, height = spread(label.column("width")), spread(label.column("height"))
        size = f"{width['median']:g} x {height['median']:g}" if width and height else ""
        kept = [label.objects, label.shapes, label.tracks, label.tags, label.frames]
        rows.append([label.name, *kept, size, _automatic(label.sources)])
    show(("label", "objects", "shapes", "tracks", "tags", "frames", "median size", "automatic"), rows)
    if figures.unused and figures.jobs:
        say(f"nothing is labelled {', '.join(figures.unused)}")


def _automatic(sources: Counter[str]) -> str:
    """The share that no person has touched since it was made."""
    return f"{sources['auto'] / sources.total():.0%}" if sources.total() else ""


def _show_jobs(figures: "Figures") -> None:
    jobs = figures.jobs[:_MOST_JOBS]
    rows = [_job(job, figures.faults.of_jobs([job.job])) for job in jobs]
    show(("job", "state", "frames", "empty", "objects", "tags", "to look at"), rows)
    if len(jobs) < len(figures.jobs):
        say(f"and {len(figures.jobs) - len(jobs)} more jobs, which the page has")


def _job(job: "JobFigures", faults: int) -> list[object]:
    where, state = f"task {job.task}, job {job.job}", f"{job.stage}, {job.state}"
    return [where, state, job.frames, job.frames - job.annotated_frames, job.objects, job.tags, faults]


def _show_annotators(figures: "Figures") -> None:
    rows = [
        [one["annotator"] or "nobody", *(one[name] for name in ("jobs", "frames", "objects", "faults"))]
        for one in figures.annotators()
    ]
    show(("assigned to", "jobs", "frames", "objects", "to look at"), rows)


def _show_faults(figures: "Figures", host: str) -> None:
    from promptable.cvat.stats.figures import link

    first: dict[str, str] = {}
    for fault in figures.faults:
        first.setdefault(fault.kind, link(host, fault))
    show(
        ("to look at", "how many", "the first"),
        [[kind, count, first[kind]] for kind, count in figures.faults.as_json().items() if count],
    )
