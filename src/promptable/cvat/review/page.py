"""The review queue as a page: one file that works without a network, whose links open CVAT's editor."""

import json
from collections.abc import Sequence
from html import escape

from promptable.cvat.pages.bars import bars
from promptable.cvat.pages.frame import framed
from promptable.cvat.review.queue import BINS, LabelFound, Queue

_BARS = 50


def render(title: str, about: str, queue: Queue, task_url: str) -> str:
    """The page. ``task_url`` is the task's in CVAT, as in ``http://localhost:8080/tasks/5``."""
    return framed(
        __package__,
        title,
        scripts=(),
        shared=("links.js",),
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
    kinds = ["doubtful" if (i + 0.5) / _BARS < review_below else "sure" for i in range(_BARS)]
    counted = zip(_coarse(label.uploaded), kinds, _coarse(label.known), strict=True)
    columns = [[(inside, kind), (outside, "known")] for inside, kind, outside in counted]
    return bars(columns, "by confidence, 0 to 1", review_below)


def _coarse(bins: Sequence[int]) -> list[int]:
    step = BINS // _BARS
    return [sum(bins[i : i + step]) for i in range(0, BINS, step)]


def _frame(queue: Queue, i: int, task_url: str) -> str:
    one = queue.frames[i]
    address = f"{task_url}/jobs/{one.job}?frame={one.frame}"
    labels = escape(", ".join(one.labels))
    return (
        f'<tr data-names="{escape(json.dumps(one.labels))}">'
        f'<td><a href="{escape(address)}" target="cvat">frame {one.frame}</a></td>'
        f"<td>job {one.job}</td><td>{one.weakest:.2f}</td><td>{one.count}</td><td>{labels}</td></tr>"
    )


def _more(queue: Queue) -> str:
    left = queue.frames_in_all - len(queue.frames)
    return f"and {left} more, which are surer than these" if left else ""
