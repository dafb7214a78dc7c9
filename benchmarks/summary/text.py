"""Figures and rows for people."""

from collections.abc import Sequence

from rich.table import Table

from benchmarks.measure import Row
from benchmarks.summary.result import Result

_WIDTH = 58


def number(value: float) -> str:
    """Four digits that count, and no exponent for what is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def ratio(value: float | None) -> str:
    """How many times as fast, to three digits."""
    return "" if value is None else f"{value:,.0f}x" if value >= 100 else f"{value:#.3g}x"


def duration(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def line(row: Row) -> str:
    """A finished row, whose figures stand below one another where their names are the same."""
    figures = "  ".join(f"{name} {number(value):>7}" for name, value in row.figures.items())
    return f"  {row.what:{_WIDTH}}{ratio(row.ratio):>7}  {figures}"


def ratios(results: Sequence[Result]) -> Table:
    """All that was measured beside the plain way."""
    table = Table.grid(padding=(0, 2))
    for result in results:
        for row in result.rows:
            if row.ratio is not None:
                table.add_row(result.name, row.what, ratio(row.ratio))
    return table


def ending(result: Result) -> str:
    """How a benchmark ended."""
    took = f"{result.name}: {len(result.rows)} rows in {duration(result.seconds)}"
    return f"{took}, {result.failure}" if result.failure else took
