"""The demo's page in a browser."""

from pathlib import Path

import pytest

from demo.page import Section, Table, write
from tests.cvat.chromium import needs_chromium, run_in_page

_NAMES = [f"a long name {i}" for i in range(32)]
_SECTION = Section(
    "Detector",
    "A sentence about the detector that is long enough to take several lines on a narrow screen. " * 3,
    {f"figure {i}": 0.5 for i in range(12)},
    ["missing.png"],
    Table("What was taken for what", _NAMES, [(name, [3] * len(_NAMES)) for name in _NAMES]),
)
_LOOK = """
  const right = (one) => one.getBoundingClientRect().right;
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  return [Math.max(...[...document.querySelectorAll("p, dl, dl div, img, .table")].map(right)), scheme];
"""


@needs_chromium
@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_a_phone_and_a_desktop_and_follows_their_colours(tmp_path: Path, width: int) -> None:
    page = tmp_path / "index.html"
    write(page, "What this is.", [_SECTION])
    html = page.read_text().replace(
        "</html>", f"<body data-ready='yes' style='width: {width - 32}px; margin: 0'></body></html>"
    )
    widest, scheme = run_in_page(html, _LOOK, tmp_path)
    assert widest <= width, "nothing makes the page scroll sideways"
    assert scheme == "light dark"
