"""The review queue as a page: one file that works without a network, whose links open CVAT's editor."""

import json
from collections.abc import Sequence
from html import escape

from promptable.cvat.pages.frame import framed
from promptable.cvat.review.queue import BINS, LabelFound, Queue

_WIDTH, _HEIGHT, _BARS = 300, 48, 50


def render(title: str, about: str, queue: Queue, task_url: str) -> str:
    """The page. ``task_url`` is the task's in CVAT, as in ``http://localhost:8080/tasks/5``."""
    return framed(
        __package__,
        title,
        about=escape(about),
        labels="\n".join(_label(label, queue.review_below) for label in queue.labels),
        frames="\n".join(_frame(queue, i, task_url) for i in range(len(queue.frames))),
        more=_more(queue),
    )


def _label(label: LabelFound, review_below: float) -> str:
    cells = (f"{label.found}", f"{label.below(review_below)}", f"{label.median:.2f}")
    numbers = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr><th>{escape(label.name)}</th>{numbers}<td>{_histogram(label, review_below)}</td></tr>"


def _histogram(label: LabelFound, review_below: float) -> str:
    """Bars by confidence: to review, sure, and on top what stayed in the journal."""
    uploaded, known = _coarse(label.uploaded), _coarse(label.known)
    scale = _HEIGHT / max(1, *(u + k for u, k in zip(uploaded, known, strict=True)))
    width = _WIDTH / _BARS
    bars = []
    for i, (inside, outside) in enumerate(zip(uploaded, known, strict=True)):
        kind = "doubtful" if (i + 0.5) / _BARS < review_below else "sure"
        bars.append(_bar(i * width, width, inside * scale, 0.0, kind))
        bars.append(_bar(i * width, width, outside * scale, inside * scale, "known"))
    line = f'<line x1="{review_below * _WIDTH}" x2="{review_below * _WIDTH}" y1="0" y2="{_HEIGHT}"/>'
    drawn = "".join(bars) + line
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="by confidence, 0 to 1">{drawn}</svg>'


def _bar(x: float, width: float, height: float, above: float, kind: str) -> str:
    if not height:
        return ""
    y = _HEIGHT - above - height
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width - 0.6:.1f}" height="{height:.1f}"/>'


def _coarse(bins: Sequence[int]) -> list[int]:
    step = BINS // _BARS
    return [sum(bins[i : i + step]) for i in range(0, BINS, step)]


def _frame(queue: Queue, i: int, task_url: str) -> str:
    one = queue.frames[i]
    address = f"{task_url}/jobs/{one.job}?frame={one.frame}"
    labels = escape(", ".join(one.labels))
    return (
        f'<tr data-labels="{escape(json.dumps(one.labels))}">'
        f'<td><a href="{escape(address)}" target="cvat">frame {one.frame}</a></td>'
        f"<td>job {one.job}</td><td>{one.weakest:.2f}</td><td>{one.count}</td><td>{labels}</td></tr>"
    )


def _more(queue: Queue) -> str:
    left = queue.frames_in_all - len(queue.frames)
    return f"and {left} more, which are surer than these" if left else ""
