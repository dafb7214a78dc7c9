"""The review queue as a page: one file that works without a network, whose links open CVAT's editor."""

import json
from collections.abc import Iterator, Sequence
from html import escape

from promptable.cvat.pages.bars import bars
from promptable.cvat.pages.frame import framed
from promptable.cvat.review.found import BINS, LabelFound
from promptable.cvat.review.queue import Queue, QueuedFrame
from promptable.cvat.server.editor import job_link

_BARS = 50


def render(
    title: str, about: Sequence[str], queue: Queue, labels: Sequence[LabelFound], review_below: float, host: str
) -> str:
    """The page. ``about`` are sentences, ``host`` is CVAT's address, as in ``http://localhost:8080``."""
    return framed(
        __package__,
        title,
        shared=("links.js",),
        about="\n".join(f"<p>{escape(sentence)}</p>" for sentence in (*about, *_nothing(queue))),
        labels="\n".join(_label(label, review_below) for label in labels),
        frames="\n".join(_frame(one, host) for one in queue.frames),
        more=escape(more(queue)),
    )


def link(host: str, one: QueuedFrame) -> str:
    """Where CVAT's editor opens the frame."""
    return job_link(host, one.task, one.job, one.frame)


def more(queue: Queue) -> str:
    """What is not in the queue; empty where all is."""
    counts = {"close to one of these": queue.near, "dealt with": queue.settled, "surer": queue.surer}
    parts = [f"{count} {what}" for what, count in counts.items() if count > 0]
    return f"left out: {', '.join(parts)}" if parts else ""


def _nothing(queue: Queue) -> Iterator[str]:
    """What is said in place of an empty queue, whose section is hidden."""
    if not queue.frames:
        left = more(queue)
        yield f"Nothing to look at{f'; {left}' if left else ''}."


def _label(label: LabelFound, review_below: float) -> str:
    numbers = "".join(f"<td>{cell}</td>" for cell in label.cells(review_below))
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


def _frame(one: QueuedFrame, host: str) -> str:
    first = one.doubts[0]
    return (
        f'<tr data-names="{escape(json.dumps(one.labels))}">'
        f'<td><a href="{escape(link(host, one))}" target="cvat">frame {one.frame}</a></td>'
        f"<td>task {one.task}</td><td>job {one.job}</td><td>{escape(first.label)}</td><td>{escape(first.what)}</td>"
        f"<td>{len(one.doubts)}</td></tr>"
    )
