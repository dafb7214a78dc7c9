"""Charts of how often labels are accepted by confidence, drawn with matplotlib, which the small install lacks."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

from promptable.cvat.effort.figures import BINS, Acceptance

MISSING = "The chart needs matplotlib, which a small install leaves out: pip install 'promptable[reports]'"
_INCHES = (2.7, 2.0)
_BLUE = "#2f80c2"
_TEXT = "#0a0b0c"
"""Replaced by the page's own colour of text, which may be light or dark."""
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "promptable",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _TEXT),
}


def acceptance_charts(labels: Sequence[tuple[str, Sequence[Acceptance]]]) -> list[str] | None:
    """A chart for each label, as SVG; None if matplotlib is not installed."""
    try:
        from matplotlib import rc_context
    except ImportError:
        return None
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the browser draws the names, with fonts that have them
        return [_chart(name, bins) for name, bins in labels]


def _chart(name: str, bins: Sequence[Acceptance]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(_INCHES, layout="constrained")
    _draw(figure.subplots(), name, bins)
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    return text[text.index("<svg") :].replace(_TEXT, "currentColor")


def _draw(axis: Any, name: str, bins: Sequence[Acceptance]) -> None:
    """Draw the accepted share of each bin with its interval, and the number of its labels."""
    middles = [(one.low + one.high) / 2 for one in bins]
    shares = [one.accepted / one.count for one in bins]
    reach = [[abs(share - one.interval[side]) for share, one in zip(shares, bins, strict=True)] for side in (0, 1)]
    axis.bar(middles, shares, 0.9 / BINS, color=_BLUE, alpha=0.35, linewidth=0)
    axis.errorbar(middles, shares, reach, fmt="o", color=_BLUE, markersize=3, elinewidth=1)
    for middle, one in zip(middles, bins, strict=True):
        axis.text(middle, 1.04, str(one.count), ha="center", va="bottom", fontsize=6)
    axis.set_title(name, fontsize=8, pad=14, parse_math=False)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accepted")
    axis.spines[["top", "right"]].set_visible(False)
    axis.patch.set_visible(False)
