"""How often people accepted labels of which confidence, drawn by matplotlib, which the small install lacks."""

import io
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from promptable.cvat.effort.figures import BINS, Acceptance

MISSING = "The chart needs matplotlib, which a small install leaves out: pip install 'promptable[reports]'"
_COLUMNS = 4
_BLUE = "#2f80c2"
_TEXT = "#0a0b0c"
"""Stands for the page's own colour of text, light or dark."""
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "promptable",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _TEXT),
}


def acceptance_chart(labels: Mapping[str, Sequence[Acceptance]]) -> str | None:
    """A small chart for each label, as SVG; None where matplotlib is not installed."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        return None
    rows = ceil(len(labels) / _COLUMNS)
    with rc_context(_STYLE):
        figure = Figure((2.6 * min(_COLUMNS, len(labels)), 1.9 * rows), layout="constrained")
        axes = figure.subplots(rows, min(_COLUMNS, len(labels)), squeeze=False, sharex=True, sharey=True)
        for axis, (name, bins) in zip(axes.flat, labels.items(), strict=False):
            _draw(axis, name, bins)
        for axis in axes.flat[len(labels) :]:
            axis.set_visible(False)
        return _svg(figure)


def _draw(axis: Any, name: str, bins: Sequence[Acceptance]) -> None:
    """Shares with their intervals, and how many each is of."""
    middles = [(one.low + one.high) / 2 for one in bins]
    shares = [one.accepted / one.count for one in bins]
    reach = [[abs(share - one.interval[side]) for share, one in zip(shares, bins, strict=True)] for side in (0, 1)]
    axis.bar(middles, shares, 0.9 / BINS, color=_BLUE, alpha=0.35, linewidth=0)
    axis.errorbar(middles, shares, reach, fmt="o", color=_BLUE, markersize=3, elinewidth=1)
    for middle, one in zip(middles, bins, strict=True):
        axis.text(middle, 1.04, str(one.count), ha="center", va="bottom", fontsize=6)
    axis.set_title(name, fontsize=8, pad=14, parse_math=False)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.spines[["top", "right"]].set_visible(False)
    axis.patch.set_visible(False)


def _svg(figure: Any) -> str:
    figure.supxlabel("confidence", fontsize=8)
    figure.supylabel("accepted", fontsize=8)
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    return text[text.index("<svg") :].replace(_TEXT, "currentColor")
