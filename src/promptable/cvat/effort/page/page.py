"""The page of a report."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from promptable.cvat.effort.figures import LabelEffort, acceptance
from promptable.cvat.effort.judging import JudgedFrame
from promptable.cvat.effort.page.charts import MISSING, acceptance_chart
from promptable.cvat.effort.page.colours import COLOURS
from promptable.cvat.effort.page.thumbnails import before_and_after
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.verdicts import Verdict
from promptable.cvat.pages.frame import framed
from promptable.cvat.pages.pictures import address

_QUALITY = 70
"""Of a WebP picture: some 10 to 30 kB."""
_CHARTS = 11
"""Labels with a chart of their own: those with the most automatic labels."""
Pictures = Mapping[tuple[int, int], tuple[bytes, tuple[int, int]]]
"""Bytes and ``hw``."""


def render(report: Report, server: str, pictures: Pictures) -> str:
    """The page. ``server`` is CVAT's address; ``pictures`` are the worst frames' by task and number."""
    labels = report.effort.labels()
    rows = [*labels, *([report.effort.total()] if len(labels) != 1 else [])]
    return framed(
        __package__,
        report.title,
        (),
        sentences="\n".join(f"  <p>{escape(sentence)}.</p>" for sentence in report.sentences()),
        verdicts="".join(f'<th class="number">{_key(verdict)}{verdict}</th>' for verdict in Verdict),
        labels="\n".join(_label(label, is_total=len(labels) != 1 and label is rows[-1]) for label in rows),
        sections="\n".join(_sections(report)),
        frames="\n".join(_frame(frame, server, pictures) for frame in report.effort.worst_frames()),
    )


def _key(verdict: Verdict) -> str:
    return f'<span class="key" style="background: {COLOURS[verdict]}"></span>'


def _label(label: LabelEffort, *, is_total: bool) -> str:
    share = f'{label.accepted} <span class="share">{_percent(label.accepted, label.automatic)}</span>'
    cells = [str(label.automatic), share]
    counts = [str(label.counts.get(verdict, 0)) for verdict in Verdict]
    row = [*map(_number, cells), f"<td>{_bar(label)}</td>", *map(_number, counts)]
    kind = "total" if is_total else ""
    return f'<tr class="{kind}"><th>{escape(label.name)}</th>{"".join(row)}</tr>'


def _number(text: str) -> str:
    return f'<td class="number">{text}</td>'


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def _bar(label: LabelEffort) -> str:
    parts = "".join(
        f'<i style="width: {100 * count / label.reviewed:.2f}%; background: {COLOURS[verdict]}" title="{verdict}"></i>'
        for verdict in Verdict
        if (count := label.counts.get(verdict, 0))
    )
    return f'<div class="bar">{parts}</div>'


def _sections(report: Report) -> Iterator[str]:
    if chart := _chart(report):
        yield _section("How often labels of which confidence were accepted", chart, "chart")
    if mistaken := report.effort.mistaken():
        yield _section("What was taken for what", _table(("the run said", "people say", "times"), mistaken))
    if report.advice is not None:
        said = [(one.label, str(one)) for one in report.advice.suggestions]
        head = f"<p>For {report.advice.goal}. {escape(str(report.advice.review))}</p>"
        yield _section("What to set better", head + _table(("label", "what its reviewed frames say"), said))
    for task, sources in report.sources.items():
        rows = [(name, source, n) for name, counts in sources.counts.items() for source, n in counts.most_common()]
        table = _table(("label", "CVAT's source", "labels"), rows)
        yield _section(f"Task {task}, without a journal: what CVAT says of what is there", table)


def _chart(report: Report) -> str | None:
    by_count = sorted(report.effort.labels(), key=lambda label: -label.automatic)[:_CHARTS]
    series = {label.name: acceptance(report.effort.of_label(label.name)) for label in by_count}
    if len(series) > 1:
        series = {"all": acceptance(report.effort.judged)} | series
    shown = {name: bins for name, bins in series.items() if bins}
    note = "<p>Numbers above are how many labels; lines are 95% intervals of the share (Wilson).</p>"
    if not shown:
        return None
    chart = acceptance_chart(shown)
    return f"<p>{escape(MISSING)}</p>" if chart is None else note + chart


def _section(title: str, body: str, kind: str = "") -> str:
    return f'<section class="{kind}"><h2>{escape(title)}</h2>{body}</section>'


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _frame(frame: JudgedFrame, server: str, pictures: Pictures) -> str:
    data, hw = pictures[frame.task, frame.number]
    before, after = (address(image, _QUALITY) for image in before_and_after(data, hw, frame.judged))
    link = f"{server}/tasks/{frame.task}/jobs/{frame.job}?frame={frame.number}"
    names = [one.verdict for one in frame.judged]
    counts = "".join(f" {_key(verdict)}{names.count(verdict)} {verdict}" for verdict in Verdict if verdict in names)
    return (
        f'<figure><div><img src="{before}" alt="before"><img src="{after}" alt="after"></div>'
        f'<figcaption><a href="{escape(link)}" target="cvat">frame {frame.number}</a> of job {frame.job}:{counts}'
        "</figcaption></figure>"
    )
