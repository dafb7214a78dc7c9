"""The page of a run: one file that works without a network."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.measure import Row
from benchmarks.summary.result import Result
from benchmarks.summary.text import duration, number, ratio
from promptable.cvat.pages.frame import framed

_MOST = 1000.0
"""The ratio whose bar is as wide as its column; the scale is logarithmic."""


def render(machine: Mapping[str, str], results: Sequence[Result]) -> str:
    """The page."""
    whole = sum(result.seconds for result in results)
    counted = sum(row.ratio is not None for result in results for row in result.rows)
    return framed(
        __package__,
        "Promptable's benchmarks",
        scripts=(),
        about=f"{len(results)} benchmarks in {duration(whole)}; {counted} ratios against the plain way in the same run",
        most=number(_MOST),
        machine="".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in machine.items()),
        failures="".join(_failure(result) for result in results if result.failure),
        contents="".join(f'<a href="#{result.name}">{escape(result.name)}</a>' for result in results),
        benchmarks="\n".join(_benchmark(result) for result in results if result.rows),
    )


def _failure(result: Result) -> str:
    return f'<p class="failure"><b>{escape(result.name)}</b> {escape(result.failure)}</p>'


def _benchmark(result: Result) -> str:
    names = list(dict.fromkeys(name for row in result.rows for name in row.figures))
    compares = any(row.ratio is not None for row in result.rows)
    heads = "".join(f"<th>{escape(name)}</th>" for name in (*(("ratio", "") if compares else ()), *names))
    rows = "\n".join(_row(row, names, compares=compares) for row in result.rows)
    title = f"<h2>{escape(result.name)} <small>{duration(result.seconds)}</small></h2><p>{escape(result.about)}</p>"
    table = f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<section id="{result.name}">{title}{table}</section>'


def _row(row: Row, names: Sequence[str], *, compares: bool) -> str:
    cells = [number(row.figures[name]) if name in row.figures else "" for name in names]
    figures = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    ratios = f"<td>{ratio(row.ratio)}</td><td>{_bar(row.ratio)}</td>" if compares else ""
    return f"<tr><th>{escape(row.what)}</th>{ratios}{figures}</tr>"


def _bar(value: float | None) -> str:
    """From the middle, which is as fast as the plain way: to the right what is faster, to the left what is slower."""
    if value is None:
        return ""
    share = 50 * min(1.0, abs(math.log(value)) / math.log(_MOST))
    side = "faster" if value >= 1 else "slower"
    return f'<div class="bar"><i class="{side}" style="width: {share:.1f}%"></i></div>'
