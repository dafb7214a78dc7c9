"""The page of a report."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import accumulate

from promptable.cvat.effort.figures import LabelEffort, acceptance, by_label
from promptable.cvat.effort.intervals import wilson
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.tracks import Correction, JudgedTrack
from promptable.cvat.effort.judging.verdicts import Verdict
from promptable.cvat.effort.page.charts import MISSING, acceptance_charts
from promptable.cvat.effort.page.colours import COLOURS
from promptable.cvat.effort.page.pictures import Pair, Pictures
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.suggest.advice import Advice
from promptable.cvat.pages.frame import framed
from promptable.cvat.pages.pictures import address
from promptable.cvat.server.editor import job_link

_QUALITY = 70
"""The quality of WebP pictures: some 10 to 30 kB each."""
_CHARTS = 11
"""How many labels have a chart of their own: those with the most automatic labels."""
_MISTAKEN = 20
_OF_TRACKS = [verdict for verdict in Verdict if verdict is not Verdict.ADDED]
_MOST_CHARACTERS = 4_500_000
"""Characters of all pictures: those of tracks come last, as many as fit."""


def render(report: Report, server: str, pictures: Pictures) -> str:
    """The HTML page of a report. ``server`` is CVAT's address; ``pictures`` are those of the report."""
    labels = report.effort.labels()
    frames = [
        _frame(frame, server, pair) for frame, pair in zip(report.effort.worst_frames(), pictures.frames, strict=True)
    ]
    rows = [*labels, *([report.effort.total()] if len(labels) > 1 else [])]
    return framed(
        __package__,
        report.title,
        sentences="\n".join(
            f"  <p>{escape(sentence[0].upper() + sentence[1:])}.</p>" for sentence in report.sentences()
        ),
        verdicts="".join(f'<th class="number">{_key(verdict)}{verdict}</th>' for verdict in Verdict),
        labels="\n".join(_label(label, is_total=len(labels) > 1 and label is rows[-1]) for label in rows),
        sections="\n".join(_sections(report)),
        frames="\n".join(frames),
        tracks=_worst_tracks(report, server, pictures, _MOST_CHARACTERS - sum(map(len, frames))),
    )


def _key(verdict: Verdict) -> str:
    return f'<span class="key" style="background: {COLOURS[verdict]}"></span>'


def _label(label: LabelEffort, *, is_total: bool) -> str:
    share = f'{label.accepted} <span class="share">{_share(label.accepted, label.automatic)}</span>'
    cells = [str(label.automatic), share]
    counts = [str(label.counts.get(verdict, 0)) for verdict in Verdict]
    row = [*map(_number, cells), f"<td>{_bar(label)}</td>", *map(_number, counts)]
    kind = "total" if is_total else ""
    return f'<tr class="{kind}"><th>{escape(label.name)}</th>{"".join(row)}</tr>'


def _number(text: str) -> str:
    return f'<td class="number">{text}</td>'


def _share(part: int, whole: int) -> str:
    """A share in percent, as HTML with its interval in a tooltip; empty if ``whole`` is 0."""
    low, high = wilson(part, whole)
    return f'<span title="95%: {low:.0%} to {high:.0%} (Wilson)">{part / whole:.0%}</span>' if whole else ""


def _bar(label: LabelEffort) -> str:
    parts = "".join(
        f'<i style="width: {100 * count / label.reviewed:.2f}%; background: {COLOURS[verdict]}" title="{verdict}"></i>'
        for verdict in Verdict
        if (count := label.counts.get(verdict, 0))
    )
    return f'<div class="bar">{parts}</div>'


def _sections(report: Report) -> Iterator[str]:
    if charts := _charts(report):
        yield _section("How often labels of which confidence were accepted", charts)
    if report.effort.tracks:
        yield _section("What became of the tracks", _tracks(report))
    if mistaken := report.effort.mistaken():
        yield _section("What was taken for what", _table(("the run said", "people say", "times"), mistaken[:_MISTAKEN]))
    if report.advice is not None:
        yield _section("What to set better", _advice(report.advice))
    for task, sources in report.sources.items():
        rows = [(name, source, n) for name, counts in sources.counts.items() for source, n in counts.most_common()]
        table = _table(("label", "CVAT's source", "labels"), rows)
        yield _section(f"Task {task}, without a journal: what CVAT says of what is there", table)


def _tracks(report: Report) -> str:
    rows = [
        (label.name, label.automatic, label.accepted, *(label.counts.get(verdict, 0) for verdict in _OF_TRACKS))
        for label in by_label(report.effort.tracks)
    ]
    note = (
        "<p>By the mean IoU over the reviewed frames on which a track was or is seen; on one where it is gone, or new, "
        "that is 0. Of tracks nothing counts as missed.</p>"
    )
    return note + _table(("label", "tracks", "accepted", *_OF_TRACKS), rows)


def _charts(report: Report) -> str | None:
    """The charts of all labels together and of the most frequent ones, as HTML; None if no label has a confidence."""
    labels = sorted(report.effort.labels(), key=lambda label: -label.automatic)[:_CHARTS]
    series = [(label.name, acceptance(report.effort.of_label(label.name))) for label in labels]
    if len(series) > 1:
        series.insert(0, ("all labels", acceptance(report.effort.judged)))
    if not any(bins for _, bins in series):
        return None
    charts = acceptance_charts([(name, bins) for name, bins in series if bins])
    note = "<p>Numbers above are how many labels; lines are 95% intervals of the share (Wilson).</p>"
    return f"<p>{escape(MISSING)}</p>" if charts is None else f'{note}<div class="charts">{"".join(charts)}</div>'


def _advice(advice: Advice) -> str:
    headings = ("label", "threshold", "better", "resampled", "F1 now", "F1 then", "right", "reviewed objects", "")
    rows = [
        (
            one.label,
            f"{one.now:.2f}",
            "" if one.why else f"{one.threshold:.2f}",
            "" if one.interval is None else f"{one.interval[0]:.2f} to {one.interval[1]:.2f}",
            "" if one.f1_now is None else f"{one.f1_now:.2f}",
            "" if one.f1_chosen is None else f"{one.f1_chosen:.2f}",
            f"{one.right} of {one.answered}" if one.answered else "",
            one.objects,
            one.why,
        )
        for one in advice.suggestions
    ]
    notes = (
        f"For {advice.goal}. F1 is of objects found at an IoU of 0.5, on frames that the threshold was not chosen on; "
        "resampled: 95% of the thresholds that are best when the frames are drawn anew.",
        str(advice.review),
    )
    return "".join(f"<p>{escape(note)}</p>" for note in notes) + _table(headings, rows)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _worst_tracks(report: Report, server: str, pictures: Pictures, room: int) -> str:
    """The section on tracks, with as many pictures as fit into ``room`` characters; empty without any."""
    figures: list[str] = []
    for track, pairs in zip(report.effort.worst_tracks, pictures.tracks, strict=True):
        for one, pair in zip(track.corrected, pairs, strict=True):
            figures.append(_track_frame(track, one, server, pair))
    kept = [figure for figure, size in zip(figures, accumulate(map(len, figures)), strict=True) if size <= room]
    if not kept:
        return ""
    note = (
        "<p>Left where the run had the track, right where it is now, on the frames with the least overlap of the two. "
        "Those tracks come first that were wrong on the most frames.</p>"
    )
    return _section("The tracks with the most to correct", f'{note}<div class="frames">{"".join(kept)}</div>')


def _frame(frame: JudgedFrame, server: str, pair: Pair) -> str:
    link = job_link(server, frame.task, frame.job, frame.number)
    names = [one.verdict for one in frame.judged]
    counts = "".join(f" {_key(verdict)}{names.count(verdict)} {verdict}" for verdict in Verdict if verdict in names)
    became = ", ".join(f"{one.label} to {one.became}" for one in frame.judged if one.became is not None)
    what = f"of job {frame.job}:{counts}{escape(became and f' ({became})')}"
    return _figure(link, frame.number, what, pair)


def _track_frame(track: JudgedTrack, at: Correction, server: str, pair: Pair) -> str:
    one = track.judged
    became = f" to {escape(one.became)}" if one.became is not None else ""
    overlap = "" if one.iou in (None, 1) else f"; IoU {at.iou:.2f} here, {one.iou:.2f} over {track.frames} frames"
    what = f"of job {one.job}: {_key(one.verdict)}{escape(one.label)} {one.verdict}{became}{overlap}"
    return _figure(job_link(server, one.task, one.job, at.frame), at.frame, what, pair)


def _figure(link: str, number: int, what: str, pair: Pair) -> str:
    """The HTML of a pair of pictures that links to a frame; the description ``what`` is HTML too."""
    before, after = (address(image, _QUALITY) for image in pair)
    return (
        f'<figure><div><img src="{before}" alt="before"><img src="{after}" alt="after"></div>'
        f'<figcaption><a href="{escape(link)}" target="cvat">frame {number}</a> {what}</figcaption></figure>'
    )
