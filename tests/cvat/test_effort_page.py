"""The page of ``promptable effort`` in a browser."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.tracks import Correction, JudgedTrack
from promptable.cvat.effort.judging.verdicts import Judged, Verdict
from promptable.cvat.effort.page.page import render
from promptable.cvat.effort.page.pictures import Pictures
from promptable.cvat.effort.page.thumbnails import before_and_after, track_before_and_after
from promptable.cvat.effort.report import Report
from promptable.cvat.effort.suggest.advice import Advice
from promptable.cvat.effort.suggest.review_threshold import ReviewThreshold
from promptable.cvat.effort.suggest.thresholds import Goal, Suggestion
from promptable.cvat.geometry.position import MASK, RECTANGLE, Position
from tests.cvat.chromium import needs_chromium, run_in_page


@needs_chromium
def test_it_fits_a_narrow_window_and_shows_its_pictures(tmp_path: Path) -> None:
    blank = Image.new("RGB", (400, 267))
    report = Report("Effort of task 3, <pictures>", "the frames of completed jobs")
    moved = Position(RECTANGLE, (10, 10, 40, 40)), Position(RECTANGLE, (12, 10, 42, 40))
    gone = Position(MASK, (0, 100, 50, 50, 59, 59))
    for frame in range(3):
        drawn = Judged(3, 1, frame, "shape", "rust", Verdict.EDITED, 0.8, 0.88, before=moved[0], after=moved[1])
        deleted = Judged(3, 1, frame, "shape", "a long name of a label", Verdict.DELETED, 0.3, before=gone)
        report.effort.add(JudgedFrame(3, 1, frame, [drawn, deleted]))
    report.effort.add_track(_reworked_track())
    frames = [before_and_after(b"no picture", (80, 120), frame.judged) for frame in report.effort.worst_frames()]
    page = render(report, "http://cvat", Pictures(frames, [[(blank, blank)]]))
    found = run_in_page(
        page.replace("<body>", '<body data-ready="yes" style="width: 400px">'),
        """return {
          wide: Math.max(...[...document.querySelectorAll("section, figure")].map((one) => one.offsetWidth)),
          images: [...document.images].map((image) => [image.naturalWidth, image.naturalHeight]),
          charts: document.querySelectorAll("svg").length,
          links: [...document.links].map((link) => link.href),
          last: [...document.querySelectorAll("figcaption")].at(-1).textContent,
          title: document.querySelector("h1").textContent,
        };""",
        tmp_path,
    )
    assert found["wide"] <= 400
    assert found["images"] == [[400, 267]] * 8, "of three frames, and of a track"
    assert found["charts"] == 3, "all labels, and each"
    assert found["links"] == [f"http://cvat/tasks/3/jobs/1?frame={frame}" for frame in (0, 1, 2, 7)]
    assert found["last"] == "frame 7 of job 1: van, <small> reworked; IoU 0.20 here, 0.60 over 9 frames"
    assert found["title"] == "Effort of task 3, <pictures>"


def test_a_track_is_shown_in_the_part_of_the_frame_around_it() -> None:
    """A small object of a large frame, where it was and where it is, in the colour of the verdict."""
    frame = io.BytesIO()
    Image.new("RGB", (2000, 1000)).save(frame, "PNG")
    before, after = Position(RECTANGLE, (1000, 500, 1020, 520)), Position(RECTANGLE, (1040, 500, 1060, 520))
    one = Correction(7, 0.0, before, after)
    pair = track_before_and_after(frame.getvalue(), (1000, 2000), one, Verdict.REWORKED)
    left, right = (np.flatnonzero(np.asarray(image).any((0, 2))) for image in pair)
    assert [image.size for image in pair] == [(400, 200)] * 2
    assert left[-1] < right[0], "it moved to the right"
    assert np.ptp(left) > 60, "of 20 pixels, which would be 4 in a picture of the whole frame"


def _reworked_track() -> JudgedTrack:
    place = Position(RECTANGLE, (10, 10, 40, 40))
    judged = Judged(3, 1, 5, "track", "van, <small>", Verdict.REWORKED, iou=0.6)
    return JudgedTrack(judged, 9, 3.6, [Correction(7, 0.2, place, place)])


def test_thresholds_have_two_decimals() -> None:
    suggestions = [Suggestion("rust", 0.4, 0.5, 40, f1_now=0.5, f1_chosen=0.6), Suggestion("van", 0.3, 0.3, 3, "few")]
    advice = Advice(Goal(), 3, suggestions, ReviewThreshold(0.7, 40, 10, 9, 20), [], prompts_known=True)
    page = render(Report("Effort", "all", advice=advice), "http://cvat", Pictures([], []))
    assert "<td>rust</td><td>0.40</td><td>0.50</td>" in page
    assert "<td>van</td><td>0.30</td>" in page
    assert "--review-below 0.70 has" in page
