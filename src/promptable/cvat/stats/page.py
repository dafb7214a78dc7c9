"""The statistics as a page: one file that works without a network, whose links open CVAT's editor."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.pages.bars import bars
from promptable.cvat.pages.frame import framed
from promptable.cvat.plural import counted
from promptable.cvat.server.editor import job_link
from promptable.cvat.stats.faults import RULES, Fault, Kind
from promptable.cvat.stats.figures import Figures, JobFigures, LabelFigures, link, spread

_SIDES = np.geomspace(1, 4096, 49)
"""Pixels: a quarter of an octave a bar."""
_ASPECTS = np.geomspace(1 / 16, 16, 49)
_MOST_BARS = 50


def render(title: str, since: str | None, figures: Figures, host: str, *, by_annotator: bool) -> str:
    """The page. ``host`` is CVAT's address; ``since`` says which jobs it is about, if not all."""
    return framed(
        __package__,
        title,
        shared=("links.js",),
        about=escape(_about(figures, since)),
        left_out="".join(f"<p>Left out: {escape(sentence)}</p>" for sentence in figures.left_out),
        labels="\n".join(map(_label, figures.used)),
        unused=f"<p>Nothing is labelled {escape(', '.join(figures.unused))}.</p>" if figures.unused else "",
        per_frame=_per_frame(figures),
        faults="\n".join(_counted(kind, count) for kind in Kind if (count := figures.faults.counts[kind])),
        listed="\n".join(_fault(fault, host) for fault in figures.faults),
        jobs="\n".join(_job(job, figures, host) for job in figures.jobs),
        annotators=_annotators(figures) if by_annotator else "",
    )


def _about(figures: Figures, since: str | None) -> str:
    totals = figures.totals()
    found = f"{counted(totals['objects'], 'object')} on {totals['annotated_frames']} of {totals['frames']} frames"
    parts = ", ".join(counted(totals[f"{kind}s"], kind) for kind in ("shape", "track", "tag"))
    only = f"; only {since}" if since else ""
    nothing = "" if any(figures.faults) else "; nothing looks wrong"
    return f"{found}: {parts} in {counted(totals['jobs'], 'job')}{only}{nothing}"


def _label(label: LabelFigures) -> str:
    counts = _cells(getattr(label, name) for name in ("objects", "shapes", "tracks", "tags", "frames"))
    sources = escape(", ".join(f"{count} {source}" for source, count in sorted(label.sources.items())))
    sizes = _histogram(label.column("side"), _SIDES, "sides in pixels, 1 to 4096")
    aspects = _histogram(label.column("aspect"), _ASPECTS, "width by height, 1/16 to 16", line=0.5)
    return f"<tr><th>{escape(label.name)}</th>{counts}<td>{sources}</td><td>{sizes}</td><td>{aspects}</td></tr>"


def _histogram(numbers: NDArray[np.float64], edges: NDArray[np.float64], about: str, line: float | None = None) -> str:
    """Bars on a logarithmic scale; what lies beyond is in the first and last."""
    known = spread(numbers)
    if known is None:
        return ""
    counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
    drawn = bars([[(int(count), "sure")] for count in counts], about, line)
    return f"{drawn}{known['min']:.2f} to {known['max']:.2f}, median {known['median']:.2f}"


def _per_frame(figures: Figures) -> str:
    """On how many frames there are 0, 1, 2 ... objects; more than 49 in the last bar."""
    most = min(max(figures.per_frame, default=0), _MOST_BARS - 1)
    counts = [0] * (most + 1)
    for objects, frames in figures.per_frame.items():
        counts[min(objects, most)] += frames
    columns = [[(count, "sure" if i else "none")] for i, count in enumerate(counts)]
    rows = "".join(f"<tr><th>{i}</th><td>{count}</td></tr>" for i, count in enumerate(counts) if count)
    return f"{bars(columns, f'frames by objects, 0 to {most}')}<table>{rows}</table>"


def _counted(kind: Kind, count: int) -> str:
    return f"<tr><th>{escape(kind)}</th><td>{count}</td><td>{escape(RULES[kind])}</td></tr>"


def _fault(fault: Fault, host: str) -> str:
    names = escape(json.dumps([fault.kind]))
    opened = f'<a href="{escape(link(host, fault))}" target="cvat">frame {fault.frame}</a>'
    where = f"<td>task {fault.task}</td><td>job {fault.job}</td>"
    what = "".join(f"<td>{escape(text)}</td>" for text in (fault.kind, fault.label or "", fault.detail))
    return f'<tr data-names="{names}"><td>{opened}</td>{where}{what}</tr>'


def _job(job: JobFigures, figures: Figures, host: str) -> str:
    opened = f'<a href="{escape(job_link(host, job.task, job.job))}" target="cvat">job {job.job}</a>'
    empty, faults = job.frames - job.annotated_frames, figures.faults.of_jobs([job.job])
    state = escape(f"{job.stage}, {job.state}")
    counts = _cells([job.frames, empty, job.objects, job.tags, faults])
    return f"<tr><td>task {job.task}</td><td>{opened}</td><td>{state}</td>{counts}<td>{_date(job.updated)}</td></tr>"


def _date(updated: str) -> str:
    """ISO 8601 as people read it, to the minute."""
    return f"{datetime.fromisoformat(updated).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _annotators(figures: Figures) -> str:
    names: Sequence[str] = ("jobs", "frames", "annotated_frames", "objects", "faults")
    rows = "".join(
        f"<tr><th>{escape(one['annotator'] or 'nobody')}</th>{_cells(one[name] for name in names)}</tr>"
        for one in figures.annotators()
    )
    headings = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in names)
    head = f"<h2>By who a job is assigned to now</h2><table><thead><tr><th></th>{headings}</tr></thead>"
    return f"<section>{head}<tbody>{rows}</tbody></table></section>"


def _cells(numbers: Iterable[object]) -> str:
    return "".join(f"<td>{number}</td>" for number in numbers)
