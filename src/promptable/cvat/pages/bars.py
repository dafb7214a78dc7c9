"""Histograms on pages: bars of counts, in parts that have a class each."""

from collections.abc import Sequence

_WIDTH, _HEIGHT = 300.0, 48.0


def bars(columns: Sequence[Sequence[tuple[float, str]]], about: str, line: float | None = None) -> str:
    """An SVG of bars side by side; a bar is parts from below, each a count and a class of the page.

    ``about`` says in words what it shows; ``line`` is where along it, from 0 to 1, a dashed line stands.
    """
    highest = max([1.0, *(sum(count for count, _ in parts) for parts in columns)])
    width = _WIDTH / max(1, len(columns))
    drawn = [rect for i, parts in enumerate(columns) for rect in _bar(i * width, width, parts, _HEIGHT / highest)]
    if line is not None:
        drawn.append(f'<line x1="{line * _WIDTH:g}" x2="{line * _WIDTH:g}" y1="0" y2="{_HEIGHT:g}"/>')
    head = f'class="bars" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{about}"'
    return f"<svg {head}><title>{about}</title>{''.join(drawn)}</svg>"


def _bar(left: float, width: float, parts: Sequence[tuple[float, str]], scale: float) -> list[str]:
    drawn, above = [], 0.0
    for count, name in parts:
        height = count * scale
        if count:
            place = f'x="{left:.1f}" y="{_HEIGHT - above - height:.1f}" width="{width - 0.6:.1f}" height="{height:.1f}"'
            drawn.append(f'<rect class="{name}" {place}/>')
        above += height
    return drawn
