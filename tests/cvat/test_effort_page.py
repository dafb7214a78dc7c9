"""The page of ``promptable effort`` in a browser."""

from pathlib import Path

from promptable.cvat.effort.judging import JudgedFrame
from promptable.cvat.effort.page.page import render
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.verdicts import Judged, Verdict
from promptable.cvat.geometry.position import MASK, RECTANGLE, Position
from tests.cvat.chromium import needs_chromium, run_in_page


@needs_chromium
def test_it_fits_a_narrow_window_and_shows_its_pictures(tmp_path: Path) -> None:
    report = Report("Effort of task 3, <pictures>", "the frames of completed jobs")
    moved = Position(RECTANGLE, (10, 10, 40, 40)), Position(RECTANGLE, (12, 10, 42, 40))
    gone = Position(MASK, (0, 100, 50, 50, 59, 59))
    for frame in range(3):
        drawn = Judged(3, 1, frame, "shape", "rust", Verdict.EDITED, 0.8, 0.88, before=moved[0], after=moved[1])
        deleted = Judged(3, 1, frame, "shape", "a long name of a label", Verdict.DELETED, 0.3, before=gone)
        report.effort.add(JudgedFrame(3, 1, frame, [drawn, deleted]))
    page = render(report, "http://cvat", {(3, frame): (b"no picture", (80, 120)) for frame in range(3)})
    found = run_in_page(
        page.replace("<body>", '<body data-ready="yes" style="width: 400px">'),
        """return {
          wide: Math.max(...[...document.querySelectorAll("section, figure")].map((one) => one.offsetWidth)),
          images: [...document.images].map((image) => [image.naturalWidth, image.naturalHeight]),
          charts: document.querySelectorAll("svg").length,
          links: [...document.links].map((link) => link.href),
          title: document.querySelector("h1").textContent,
        };""",
        tmp_path,
    )
    assert found["wide"] <= 400
    assert found["images"] == [[400, 267]] * 6
    assert found["charts"] == 3, "all labels, and each"
    assert found["links"] == [f"http://cvat/tasks/3/jobs/1?frame={frame}" for frame in range(3)]
    assert found["title"] == "Effort of task 3, <pictures>"
