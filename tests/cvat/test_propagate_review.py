"""Which frames of a followed object a person is shown, and how."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promptable.cli.main import main
from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.position import Position
from promptable.cvat.propagate.review.doubts import doubts
from promptable.cvat.propagate.review.page import pictured, render
from promptable.cvat.propagate.review.places import Followed, Place, Review
from promptable.cvat.propagate.review.thumbnails import SIZE, thumbnail
from promptable.cvat.server.editor import job_link
from tests.cvat.chromium import needs_chromium, run_in_page
from tests.cvat.propagating import draw, prepare, propagate
from tests.functions.requests import file_bytes
from toy.cvat.stand_in import StandIn

HOSTILE = "<script>alert(1)</script>\"'&"
HOST = "http://cvat"
TASK_URL = f"{HOST}/tasks/4"


def _at(left: float, side: float = 20, score: float = 1.0) -> Position:
    return Position("rectangle", (left, 10, left + side, 10 + side), score=score)


def test_lost_back_jumped_grown_and_shrunk_are_worth_a_look() -> None:
    found = [_at(0), _at(2), None, None, _at(50, score=0.8), _at(90), _at(90, 25), _at(90, 16), _at(91, 16)]
    seen = [(doubt.frame, doubt.what, round(doubt.sure, 2), doubt.before) for doubt in doubts(enumerate(found))]
    assert seen == [
        (2, "lost", 0.0, 1),
        (4, "back", 0.8, 1),
        (5, "jumped", 0.0, 4),
        (6, "grew", 0.64, 5),
        (7, "shrank", 0.41, 6),
    ]
    assert next(doubts(enumerate(found))).box == (2, 10, 22, 30), "where it was last"


def test_a_speck_far_from_a_mask_makes_it_no_larger() -> None:
    pixels = np.zeros((60, 80), bool)
    pixels[20:40, 20:40] = True
    specks = pixels.copy()
    specks[59, 78:] = True
    grown = pixels.copy()
    grown[20:40, 20:70] = True
    masks = [Position("mask", run_lengths.encode(each, 0, 0)) for each in (pixels, specks, pixels, grown)]
    assert [(doubt.frame, doubt.what) for doubt in doubts(enumerate(masks))] == [(3, "grew")]


def test_of_frames_in_a_row_of_low_score_the_lowest_is_shown() -> None:
    scores = [0.9, 0.55, 0.3, 0.4, 0.9, 0.5, 0.2]
    found = [_at(i, score=score) for i, score in enumerate(scores)]
    found[6] = _at(80, score=0.2)  # a jump, which says more
    assert [(doubt.frame, doubt.what) for doubt in doubts(enumerate(found))] == [
        (2, "unsure"),
        (5, "unsure"),
        (6, "jumped"),
    ]


def test_what_begins_lost_is_back_when_it_comes() -> None:
    (doubt,) = doubts(enumerate([None, None, _at(3), _at(4)]))
    assert (doubt.frame, doubt.what, doubt.before) == (2, "back", None)


def test_an_object_that_is_lost_on_the_frame_behind_its_first_is_shown(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, (10, 60, 30, 80), frame=4)
    assert propagate(cvat, "--from", "4", "--job", "1", "--page", "page.html") == 0
    page = Path("page.html").read_text()
    assert "frame=5" in page
    assert "frame=8" in page


def test_a_picture_shows_the_object_on_its_frame(cvat: StandIn) -> None:
    """The stand-in's own pictures are none: places of such frames are rows of the table."""
    prepare(cvat)
    draw(cvat, (10, 60, 30, 80))
    assert propagate(cvat, "--job", "1", "--page", "without.html") == 0
    picture = file_bytes(np.full((101, 201, 3), 90, np.uint8), "PNG")  # a pixel more, as videos of odd size have
    cvat.tasks[4].pictures = [picture] * 20
    assert propagate(cvat, "--job", "1", "--review", "1", "--page", "with.html") == 0
    without, shown = Path("without.html").read_text(), Path("with.html").read_text()
    assert ("<img" in without, without.count('<tr data-names="[&quot;car')) == (False, 2)
    assert (shown.count('<img src="data:image/webp'), shown.count('<tr data-names="[&quot;car')) == (2, 0)


@pytest.mark.parametrize("broken", [[5, 10, 60, 30, 79], [60]])
def test_a_broken_mask_in_the_journal_of_an_old_run_is_left_out(
    cvat: StandIn, tmp_path: Path, broken: Sequence[float]
) -> None:
    prepare(cvat)
    draw(cvat, run_lengths.encode(np.ones((20, 20), np.bool_), 10, 60), "mask")
    assert propagate(cvat, "--job", "1") == 0
    (file,) = tmp_path.rglob("task-4-*.sqlite")
    with sqlite3.connect(file) as journal:
        journal.execute("UPDATE objects SET object = json_set(object, '$.start.points', json(?))", (str(broken),))
    assert propagate(cvat, "--job", "1", "--review", "1", "--page", "page.html") == 0
    assert "frame=8" in Path("page.html").read_text(), "where it came back"
    assert main(["review", "--job", "1", "--url", cvat.url]) == 0


@pytest.mark.parametrize("form", ["rectangle", "polygon", "mask"])
def test_yellow_is_where_it_is_and_dashed_where_it_was(form: str) -> None:
    points: Sequence[float] = (300, 100, 340, 130)
    if form == "polygon":
        points = (300, 100, 340, 100, 340, 130, 300, 130)
    if form == "mask":
        points = run_lengths.encode(np.ones((30, 40), np.bool_), 300, 100)
    now = Position(form, tuple(points))
    frame = Image.new("RGB", (320, 200), (40, 40, 120))  # it reaches over the border
    image = np.array(thumbnail(frame, now, Position("rectangle", (250, 100, 290, 130))))
    assert image.shape[1::-1] == SIZE
    yellow = (image[..., 0] > 180) & (image[..., 1] > 150) & (image[..., 2] < 80)
    white = (image > 200).all(2)
    assert yellow.any()
    assert white.any()
    assert np.nonzero(yellow)[1].min() > np.nonzero(white)[1].max(), "left it was, right it is"
    assert thumbnail(frame, None, now).size == SIZE


@pytest.mark.parametrize("size", [(60, 800), (800, 60), (20, 20)])
def test_what_lies_outside_a_narrow_or_small_frame_is_not_shown(size: tuple[int, int]) -> None:
    red = (200, 10, 10)
    image = thumbnail(Image.new("RGB", size, red), None, Position("rectangle", (5, 5, 15, 55)))
    width, height = image.size
    assert max(width / SIZE[0], height / SIZE[1]) == 1
    assert {image.getpixel((x, y)) for x in (0, width - 1) for y in (0, height - 1)} == {red}


def _review(count: int, label: str = "car", objects: int = 2) -> Review:
    kinds = ("lost", "back", "jumped", "unsure")
    places = [
        Place(i, kinds[i % 4], label if i % 2 else "van", 1, (0, 0, 5, 5), i % objects, 1 - i / count, None)
        for i in range(count)
    ]
    bins = {i: (i % 10) / 10 for i in range(150)}
    return Review([Followed(i, label, 300, 290, 0.31, bins) for i in range(objects)], places, 150)


@needs_chromium
def test_how_often_an_object_was_found_is_a_line_however_narrow_the_window(tmp_path: Path) -> None:
    look = """
      document.body.style.width = "390px";
      const text = document.createRange();
      text.selectNodeContents(document.querySelector("#objects tbody td"));
      return [text.toString(), text.getClientRects().length];
    """
    page = _page(_review(1), Image.new("RGB", (8, 6)))
    assert run_in_page(page, look, tmp_path) == ["290 of 300", 1]


def _page(review: Review, image: Image.Image, pictures: int = 200) -> str:
    return render(
        f"Task {HOSTILE}", 3, review, dict.fromkeys(pictured(review)[:pictures], image), partial(job_link, HOST, 4)
    )


@needs_chromium
def test_the_worst_come_first_and_are_chosen_and_opened_one_by_one(tmp_path: Path) -> None:
    look = """
      const opened = [];
      HTMLAnchorElement.prototype.click = function () { opened.push(this.href); mark(this.closest("[data-names]")); };
      const shown = () => items.filter((item) => !item.hidden).length;
      const seen = { title: document.title, all: shown(), images: document.querySelectorAll("img").length };
      const [label, what] = choices;
      seen.labels = [...label.options].map((option) => option.text);
      what.value = "lost";
      what.dispatchEvent(new Event("change"));
      seen.lost = shown();
      label.value = "van";
      label.dispatchEvent(new Event("change"));
      seen.both = shown();
      const key = (held) => new KeyboardEvent("keydown", { key: "n", bubbles: true, ...held });
      const press = (held) => document.body.dispatchEvent(key(held));
      for (const own of ["ctrlKey", "metaKey", "altKey"]) press({ [own]: true });  // the browser's: a new window
      press();
      press();
      return { ...seen, opened, scripts: document.querySelectorAll("script").length };
    """
    image = Image.new("RGB", SIZE, (9, 9, 9))
    seen = run_in_page(_page(_review(12, HOSTILE), image, 5), look, tmp_path)
    assert seen == {
        "title": f"Task {HOSTILE}",
        "all": 12,
        "images": 5,
        "labels": ["every label", HOSTILE, "van"],
        "lost": 3,
        "both": 3,
        "opened": [f"{TASK_URL}/jobs/1?frame=8", f"{TASK_URL}/jobs/1?frame=4"],
        "scripts": 2,  # the page's and this one: names are texts
    }


@needs_chromium
@pytest.mark.parametrize(("places", "sections"), [(0, 1), (3, 2)])
def test_without_a_place_to_look_at_the_page_says_so_and_lists_none(tmp_path: Path, places: int, sections: int) -> None:
    look = """
      const shown = [...document.querySelectorAll("section")].filter((one) => one.checkVisibility()).length;
      return [shown, document.querySelector("header p").textContent];
    """
    found, about = run_in_page(_page(_review(places), Image.new("RGB", SIZE)), look, tmp_path)
    assert found == sections
    assert ("nothing that should be looked at" in about) == (places == 0)


def test_names_are_texts_without_a_browser_too() -> None:
    page = _page(_review(4, HOSTILE), Image.new("RGB", SIZE))
    assert "<script>alert" not in page
    names = {name for part in page.split('data-names="')[1:] for name in json.loads(unescape(part.split('"')[0]))}
    assert names == {HOSTILE, "van"}


def test_a_page_is_small_whatever_the_run() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8))
    longest = '"' * 64
    review = _review(20_000, longest, 300)
    review = replace(review, places=[replace(place, label=longest) for place in review.places])
    page = _page(review, noise)
    assert len(page.encode()) < 5_000_000
    assert page.count("<img") > 50
    assert "and 44 more objects" in page
    left = int(page.split(" more places")[0].rpartition("and ")[2])
    assert left + page.count("<img") + page.count("<td>job 1</td>") == 20_000
