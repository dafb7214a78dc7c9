"""What a browser lets a page do, in a real one."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from promptable.cvat.effort.page import page as effort_page
from promptable.cvat.effort.page.pictures import Pictures
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.sources import SourceCounts
from promptable.cvat.preview.page import PageFrame, PageVariant, render
from promptable.cvat.review import page as review_page
from promptable.cvat.review.found import LabelFound
from promptable.cvat.review.queue import Doubt, Queue, QueuedFrame
from tests.cvat.chromium import needs_chromium, opened, run_in_page
from tests.functions.requests import SCENE, file_bytes

ATTACK = (
    "<script>document.body.dataset.run = 1</script>"
    '<img src="data:," onerror="document.body.dataset.run = 2">'
    '<a href="javascript:document.body.dataset.run = 3" id="link">link</a>'
    '<iframe srcdoc="<script>parent.document.body.dataset.run = 4</script>"></iframe>'
)
"""As if a name had been written into a page unescaped."""


def _preview() -> str:
    item = {"label": "rust", "type": "rectangle", "score": 0.5, "review": True, "box": [1, 1, 20, 20]}
    variant = PageVariant("words", "", False, 0.1, [{"name": "rust", "threshold": 0.3}], [{"items": [item]}])
    frame = PageFrame("1.png", 1, partial(file_bytes, SCENE.image, "PNG"), url="http://cvat/")
    return render("Preview", "about", [frame], [variant])[0]


def _review() -> str:
    return review_page.render("Review", ["About."], Queue([], 0), [], 0.5, "http://cvat")


@needs_chromium
@pytest.mark.parametrize("page", [_preview, _review])
def test_a_page_runs_its_own_script_and_no_other(page: Callable[[], str], tmp_path: Path) -> None:
    dumped = opened(page().replace("<header>", f"<header>{ATTACK}"), tmp_path)
    body = re.search("<body[^>]*>", dumped)
    assert body is not None
    assert body[0] == '<body data-ready="yes">'


@needs_chromium
def test_a_link_is_a_line_of_its_table_however_narrow_the_window(tmp_path: Path) -> None:
    doubt = Doubt("yellow triangle", "or green triangle? scores 0.41 and 0.38", 0.1)
    queue = Queue([QueuedFrame(12, 43, 29, [doubt])], 1)
    look = """
      document.body.style.width = "390px";
      const row = document.querySelector(".links tbody tr");
      const section = row.closest("section");
      return [row.offsetHeight < 40, section.offsetWidth <= 390, section.scrollWidth > section.clientWidth];
    """
    page = review_page.render("Review", [], queue, [], 0.45, "http://cvat")
    assert run_in_page(page, look, tmp_path) == [True, True, True], "one line, and the section scrolls"


_SEEN = """
  const seen = (of) => [...document.querySelectorAll(of)].filter((one) => one.checkVisibility());
  return [seen("p").map((one) => one.textContent), seen("table, select, kbd, section").length];
"""


@needs_chromium
def test_a_review_of_nothing_has_no_tables(tmp_path: Path) -> None:
    page = review_page.render("Review", ["no journal"], Queue([], 5, near=2, settled=3), [], 0.45, "http://cvat")
    sentence = "Nothing to look at; left out: 2 close to one of these, 3 dealt with."
    assert run_in_page(page, _SEEN, tmp_path) == [["no journal", sentence], 0]


@needs_chromium
def test_a_review_of_nothing_says_what_was_found(tmp_path: Path) -> None:
    found = [LabelFound("rust", [0] * 90 + [1] * 10, [0] * 100)]
    page = review_page.render("Review", [], Queue([], 0), found, 0.45, "http://cvat")
    assert run_in_page(page, _SEEN, tmp_path) == [["Nothing to look at."], 2], "a section, and its table"


@needs_chromium
def test_an_effort_of_nothing_has_no_tables(tmp_path: Path) -> None:
    report = Report("Effort", "the frames of completed jobs", sources={7: SourceCounts()})
    page = effort_page.render(report, "http://cvat", Pictures([], []))
    sentences, shown = run_in_page(page.replace("<body>", '<body data-ready="yes">'), _SEEN, tmp_path)
    assert ("only CVAT's own word on what is there: nothing" in sentences[1], shown) == (True, 0)


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_stand_out_from_what_they_lie_on(tmp_path: Path, scheme: str) -> None:
    found = [LabelFound("rust", [1] * 100, [1] * 100)]
    page = review_page.render("Review", [], Queue([], 0), found, 0.45, "http://cvat")
    look = f"""
      document.documentElement.style.colorScheme = "{scheme}";
      const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
      const bars = ["doubtful", "sure", "known"].map((kind) => document.querySelector(`rect.${{kind}}`));
      const card = getComputedStyle(document.querySelector("section")).backgroundColor;
      return [numbers(card), ...bars.map((bar) => numbers(getComputedStyle(bar).fill))];
    """
    card, *bars = (_luminance(colour) for colour in run_in_page(page, look, tmp_path))
    for bar in bars:
        assert (max(bar, card) + 0.05) / (min(bar, card) + 0.05) > 2


def _luminance(rgb: Sequence[float]) -> float:
    """Of WCAG, but with a plain gamma."""
    return sum(part * (value / 255) ** 2.2 for part, value in zip((0.2126, 0.7152, 0.0722), rgb, strict=True))
