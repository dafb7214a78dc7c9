"""What the page shows at any thresholds is what the function answers at them, in a real browser."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptable.config.labels import parse
from promptable.cvat.preview.page import PageFrame, PageVariant, render
from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import LabelRule, Suppression, select
from promptable.serving.detector.candidates import candidates
from promptable.serving.detector.items import ItemRules
from promptable.serving.detector.label_set import LabelSet
from promptable.serving.detector.masks import BoxMask
from promptable.wire import detector as wire
from promptable.wire.candidates import encode
from promptable.wire.masks import MaskCrop, rle_to_mask
from tests.cvat.chromium import needs_chromium, run_in_page
from tests.functions.conftest import new_detector
from tests.functions.requests import SCENE, file_bytes
from toy.png import png_base64

HW = (300, 400)
REVIEW = 0.5
LABELS = LabelSet(
    parse(
        [
            {"name": "a", "type": "mask"},
            {"name": "b", "prompts": ["b", "bee"]},
            {"name": "c", "type": "polygon"},
            {"name": "d", "type": "tag"},
            {"name": "review me", "marks": "review"},
        ]
    )
)
CASES = 60


def _proposals(rng: np.random.Generator) -> Proposals:
    """Clusters of boxes as tiles give them: overlapping, cut at seams, parts of larger ones, with equal scores."""
    count = int(rng.integers(0, 60))
    centres = rng.uniform(-10, 410, (6, 2))[rng.integers(0, 6, count)] + rng.normal(0, 12, (count, 2))
    sides = rng.choice([12.0, 40, 90, 200], (count, 1)) * rng.uniform(0.7, 1.3, (count, 2))
    boxes = np.hstack([centres - sides / 2, centres + sides / 2]).round(int(rng.integers(0, 3)))
    scores = rng.uniform(0.05, 0.95, count).round(int(rng.integers(1, 5)))
    return Proposals(
        boxes.astype(np.float32),
        rng.integers(0, len(LABELS.prompts), count),
        scores.astype(np.float32),
        rng.integers(0, 3, count),
        rng.random((count, 4)) < 0.15,
        rng.random(count) < 0.3,
        rng.integers(0, 2, (count, 2)).astype(np.int16),
        rng.uniform(0, 1, (count, 2)).astype(np.float32),
    )


def _masks(boxes: np.ndarray) -> list[BoxMask]:
    return [_mask(box) for box in boxes]


def _mask(box: np.ndarray) -> BoxMask:
    """A mask and a polygon by which the box is known again."""
    left, top, right, bottom = (int(side) for side in [*np.floor(box[:2]), *np.ceil(box[2:])])
    pixels = np.ones((bottom - top, right - left), np.bool_)
    pixels[: (bottom - top) // 2, : (right - left) // 2] = False
    return BoxMask(
        MaskCrop(pixels, left, top), [float(side) for side in (*box, *box[:2])], 0.9, filled=bool(left % 5 == 0)
    )


def _suppression(rng: np.random.Generator) -> Suppression:
    return Suppression(float(rng.choice([0.3, 0.6, 1.0])), float(rng.choice([0.5, 0.9, 1.0])), int(rng.integers(1, 30)))


def _rules(thresholds: Sequence[float], largest: float) -> list[LabelRule]:
    shapes = [True, True, True, False, False]
    return [LabelRule(at, largest if shape else 1.0, shape) for at, shape in zip(thresholds, shapes, strict=True)]


def _answer(proposals: Proposals, rules: Sequence[LabelRule], suppression: Suppression) -> Sequence[Mapping[str, Any]]:
    """As the function answers it."""
    found = select(proposals, LABELS.label_of_prompt, rules, HW, suppression)
    masked = [i for i, label in enumerate(found.labels) if LABELS.labels[label].type in ("mask", "polygon")]
    masks = dict(zip(masked, _masks(found.boxes_xyxy[masked]), strict=True))
    items: Sequence[Mapping[str, Any]] = json.loads(wire.encode(ItemRules(LABELS.labels, REVIEW).items(found, masks)))
    return items


def _seen(items: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What is compared of the function's items."""
    seen = []
    for item in items:
        review = {one["name"]: one["value"] for one in item["attributes"]}.get("review", "false") == "true"
        seen.append([item["label"], item["type"], item["confidence"], review, _geometry(item)])
    return sorted(seen, key=json.dumps)


def _geometry(item: Mapping[str, Any]) -> Any:
    match item["type"]:
        case "tag":
            return None
        case "mask":
            *pixels, left, top, right, bottom = item["mask"]
            mask = np.array(pixels, np.bool_).reshape(bottom - top + 1, right - left + 1)
            return [np.flatnonzero(mask).tolist()[:50], int(mask.sum()), left, top, right, bottom]
        case _:
            return [float(np.float32(number)) for number in item["points"]]


def _shown(items: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The same of the page's items."""
    seen = [[one["label"], one["type"], one["score"], one["review"], _page_geometry(one)] for one in items]
    return sorted(seen, key=json.dumps)


def _page_geometry(item: Mapping[str, Any]) -> Any:
    match item["type"]:
        case "tag":
            return None
        case "mask":
            rle = item["mask"]["rle"]
            left, top, right, bottom = rle[-4:]
            mask = rle_to_mask(rle, (2000, 2000))[top : bottom + 1, left : right + 1]
            return [np.flatnonzero(mask).tolist()[:50], int(mask.sum()), left, top, right, bottom]
        case "polygon":
            return [float(np.float32(number)) for number in item["mask"]["polygon"]]
        case _:
            return [float(np.float32(number)) for number in item["box"]]


def _page(answers: Sequence[Mapping[str, Any]], picture: bytes, labels: Sequence[Mapping[str, Any]]) -> str:
    frames = [PageFrame(f"{i}.png", i, partial(bytes, picture)) for i in range(len(answers))]
    page, _ = render("Preview", "", frames, [PageVariant("v", "", True, 0.1, labels, answers)])
    return page


_LIST = [
    {"name": label.name, "type": str(label.type), "threshold": 0.35, **({"marks": label.marks} if label.marks else {})}
    for label in LABELS.labels
]
_SELECT = """
  const cases = %s;
  return cases.map(([frame, thresholds]) => select(state.variants[0].answers[frame], thresholds));
"""


@needs_chromium
def test_page_and_function_agree_at_random_thresholds(tmp_path: Path) -> None:
    rng = np.random.default_rng(20)
    answers, cases, expected = [], [], []
    for frame in range(CASES):
        proposals, suppression, largest = _proposals(rng), _suppression(rng), float(rng.choice([0.2, 0.95]))
        floor = float(rng.choice([0.05, 0.1, 0.3]))
        found = candidates(proposals, LABELS, _rules([0.35] * 5, largest), HW, suppression, floor, REVIEW, _masks)
        answers.append(json.loads(encode(found)))
        for _ in range(5):
            thresholds = rng.uniform(floor, 1, 5).round(2).clip(floor).tolist()
            cases.append([frame, thresholds])
            expected.append(_seen(_answer(proposals, _rules(thresholds, largest), suppression)))
    picture = file_bytes(np.zeros((*HW, 3), np.uint8), "PNG")
    shown = run_in_page(_page(answers, picture, _LIST), _SELECT % json.dumps(cases), tmp_path)
    assert sum(map(len, expected)) > 500, "the cases are not empty"
    for case, one, other in zip(cases, shown, expected, strict=True):
        assert _shown(one) == other, case


@needs_chromium
def test_page_and_the_toy_detector_agree_masks_and_all(tmp_path: Path) -> None:
    names = sorted({thing.label for thing in SCENE.objects})
    kinds = ["mask", "polygon", "rectangle", "tag"]
    entries = [{"name": name, "type": kinds[i % 4]} for i, name in enumerate(names)]
    for tiles in ({}, {"PROMPTABLE_TILE_SIZE": "96"}):
        function = new_detector(tmp_path, [{"name": "red circle"}], **tiles)
        image = {"image": png_base64(SCENE.image)}
        answer = function.answer(image | {"labels": entries, "floor": 0.02})
        rng = np.random.default_rng(3)
        cases = [[0, rng.uniform(0.02, 0.7, len(names)).round(2).tolist()] for _ in range(4)]
        ask = partial(_with_thresholds, entries)
        expected = [_seen(function.answer(image | {"labels": ask(at)})) for _, at in cases]
        page = _page([answer], file_bytes(SCENE.image, "PNG"), ask([0.35] * len(names)))
        shown = run_in_page(page, _SELECT % json.dumps(cases), tmp_path)
        assert any(expected)
        assert [_shown(one) for one in shown] == expected


def _with_thresholds(entries: Sequence[Mapping[str, Any]], thresholds: Sequence[float]) -> list[Mapping[str, Any]]:
    return [{**entry, "threshold": at} for entry, at in zip(entries, thresholds, strict=True)]


@needs_chromium
def test_a_moved_slider_moves_counts_and_labels_yaml(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    proposals, suppression = _proposals(rng), Suppression()
    found = candidates(proposals, LABELS, _rules([0.35] * 5, 1.0), HW, suppression, 0.1, REVIEW, _masks)
    page = _page([json.loads(encode(found))], file_bytes(np.zeros((*HW, 3), np.uint8), "PNG"), _LIST)
    move = """
      const count = () => document.querySelector('[data-count="0-1"]').textContent;
      const slider = document.querySelector('[data-label="b"] input[type=range]');
      const seen = [];
      for (const at of ["0.10", "0.50", "0.90"]) {
        slider.value = at;
        slider.dispatchEvent(new Event("input"));
        seen.push([Number(count()), document.querySelector("pre").textContent]);
      }
      document.querySelector('[data-label="b"] input[type=checkbox]').click();
      const style = (selector) => getComputedStyle(document.querySelector(selector));
      const ofMark = style('[data-label="review me"] input[type=range]').visibility;
      return [...seen, [Number(count()), ""], [style("#pictures").display, ofMark]];
    """
    seen = run_in_page(page, move, tmp_path)
    for (count, text), at in zip(seen, (0.1, 0.5, 0.9), strict=False):
        items = _answer(proposals, _rules([0.35, at, 0.35, 0.35, 0.35], 1.0), suppression)
        assert count == sum(item["label"] == "b" for item in items)
        assert f"threshold: {at}" in text
    assert seen[0][0] > seen[2][0]
    assert seen[3][0] == 0, "a label that is off is not counted"
    assert seen[4] == ["grid", "hidden"], "the frames of one variant lie beside it; what marks frames has no threshold"


@needs_chromium
def test_labels_are_as_large_on_every_picture_and_drawn_in_the_screens_pixels(tmp_path: Path) -> None:
    item = {"label": "a", "type": "rectangle", "score": 0.5, "review": False, "box": [1, 1, 20, 20]}
    variants = [PageVariant(name, "", False, 0.1, _LIST[:1], [{"items": [item]}] * 3) for name in "vw"]
    pictures = [np.zeros((*hw, 3), np.uint8) for hw in ((3000, 1200), (30, 40), (1080, 1920))]
    frames = [PageFrame(f"{i}.png", i, partial(file_bytes, one, "PNG")) for i, one in enumerate(pictures)]
    look = """
      const drawn = () => [...document.querySelectorAll("canvas")].map((canvas) => {
        const { width, height } = canvas.getBoundingClientRect();
        const g = canvas.getContext("2d");
        const text = parseFloat(g.font) * g.getTransform().a * width / canvas.width;
        return [Math.round(text), canvas.width - width, width / height];
      });
      const seen = [drawn()];
      document.body.style.width = "390px";
      dispatchEvent(new Event("resize"));
      seen.push(drawn());
      enlarge(0);
      return [...seen, drawn()];
    """
    wide, narrow, enlarged = run_in_page(render("Preview", "", frames, variants)[0], look, tmp_path)
    assert [len(wide), len(narrow), len(enlarged)] == [6, 6, 8]
    for text, rounded, proportion in (*wide, *narrow, *enlarged):
        assert text == 12
        assert abs(rounded) <= 0.5, "no pixel is enlarged"
        assert min(abs(proportion - one) for one in (0.4, 4 / 3, 16 / 9)) < 0.01, "and nothing is stretched"


@needs_chromium
def test_labels_stand_above_the_masks_of_surer_items(tmp_path: Path) -> None:
    sure = {"label": "a", "type": "mask", "score": 0.9, "review": False, "box": [0, 0, 400, 300]}
    sure["mask"] = {"rle": [0, 400 * 300, 0, 0, 399, 299]}
    weak = {"label": "b", "type": "rectangle", "score": 0.5, "review": False, "box": [100, 100, 200, 200]}
    frames = [PageFrame("0.png", 0, partial(file_bytes, np.zeros((*HW, 3), np.uint8), "PNG"))]
    variants = [PageVariant("v", "", False, 0.1, _LIST[:2], [{"items": [sure, weak]}])]
    look = """
      const canvas = document.querySelector("canvas");
      const scale = canvas.width / 400;
      const [x, y] = [101, 99].map((at) => Math.floor(at * scale));
      return [...canvas.getContext("2d").getImageData(x, y - 2, 1, 1).data].slice(0, 3);
    """
    colour = run_in_page(render("Preview", "", frames, variants)[0], look, tmp_path)
    assert colour == [0x3C, 0xB4, 0x4B], "the label's own, with no mask over it"


@needs_chromium
def test_an_enlarged_picture_is_in_the_middle_and_closes_by_a_click_beside_it(tmp_path: Path) -> None:
    frame = PageFrame("1.png", 1, partial(file_bytes, np.zeros((30, 40, 3), np.uint8), "PNG"))
    variant = PageVariant("v", "", False, 0.1, _LIST, [{"items": []}])
    look = """
      const dialog = document.getElementById("large");
      enlarge(0);
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      const { clientWidth, clientHeight } = document.documentElement;
      const around = [left - (clientWidth - right), top - (clientHeight - bottom)];
      const click = (x, y) => {
        document.elementFromPoint(x, y).dispatchEvent(new MouseEvent("click", { bubbles: true }));
        return dialog.open;
      };
      return [left > 20, ...around.map(Math.round), click(left + 4, top + 4), click(left - 10, top + 4)];
    """
    seen = run_in_page(render("Preview", "", [frame], [variant])[0], look, tmp_path)
    assert seen == [True, 0, 0, True, False]


@needs_chromium
def test_names_of_labels_have_more_room_than_sliders_and_are_in_full_where_the_mouse_rests(tmp_path: Path) -> None:
    labels = [{"name": "yellow triangle", "type": "mask", "prompts": ["a sign", "give way"], "threshold": 0.4}]
    variants = [PageVariant(name, "", True, 0.1, labels, []) for name in "uvw"]
    look = """
      document.body.style.width = "1080px";
      const name = document.querySelector(".name");
      const slider = document.querySelector(".label input[type=range]");
      const value = document.querySelector(".label output");
      return [value.textContent, name.title, name.scrollWidth <= name.clientWidth, slider.offsetWidth >= 50];
    """
    seen = run_in_page(render("Preview", "", [], variants)[0], look, tmp_path)
    assert seen == ["0.40", "yellow triangle\na sign\ngive way", True, True]


@needs_chromium
def test_what_has_been_copied_or_refused_is_said_for_two_seconds(tmp_path: Path) -> None:
    page, _ = render("Preview", "", [], [PageVariant("v", "", True, 0.1, _LIST, [])])
    look = """
      const button = document.querySelector("details button");
      const after = (ms) => new Promise((done) => setTimeout(done, ms));
      const seen = [];
      for (const answer of [Promise.resolve(), Promise.reject(new Error())]) {
        Object.defineProperty(navigator, "clipboard", { value: { writeText: () => answer }, configurable: true });
        button.click();
        for (const ms of [1000, 1500]) { await after(ms); seen.push(button.textContent); }
      }
      return seen;
    """
    refused = "the browser refused: select the text and copy it"
    assert run_in_page(page, look, tmp_path) == ["copied", "copy", refused, "copy"]


@needs_chromium
def test_everything_has_a_name_and_a_place_in_the_tab_order(tmp_path: Path) -> None:
    frame = PageFrame("1.png", 1, partial(file_bytes, np.zeros((30, 40, 3), np.uint8), "PNG"))
    page, _ = render("Preview", "", [frame], [PageVariant("v", "", True, 0.1, _LIST[:1], [{"items": []}])])
    look = """
      const inputs = [...document.querySelectorAll(".label input, figure button")];
      const picture = inputs.at(-1);
      picture.focus();
      const focused = document.activeElement === picture;
      picture.click();
      return [inputs.map((one) => one.ariaLabel), focused, document.getElementById("large").open];
    """
    assert run_in_page(page, look, tmp_path) == [["show a", "threshold of a", "enlarge 1.png, v"], True, True]


def test_pictures_of_any_kind_are_shown_and_cropped_to_cvats_size() -> None:
    deep = file_bytes((np.arange(64, dtype=np.uint16) * 900).reshape(8, 8), "PNG")
    wide = file_bytes(np.zeros((12, 14, 3), np.uint8), "PNG")
    page, data = render(
        "<T>",
        "",
        [PageFrame("deep", 0, partial(bytes, deep)), PageFrame("wide", 1, partial(bytes, wide), (11, 13))],
        [],
    )
    assert [frame["hw"] for frame in json.loads(data)["frames"]] == [[8, 8], [11, 13]]
    assert "<title>&lt;T&gt;</title>" in page
    assert "http" not in page.replace("http-equiv", ""), "nothing is fetched"


@pytest.mark.parametrize("sides", [5])
def test_five_frames_and_three_variants_at_1080p_fit_into_five_megabytes(sides: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (54, 96, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((20, 20, 1), np.uint8)) + rng.integers(0, 9, (1080, 1920, 3), dtype=np.uint8)
    runs = np.tile([40, 300], 400).tolist()
    mask = {
        "box": [0.5, 0.5, 600.25, 700.75],
        "rle": [*runs, 0, 0, 339, 399],
        "polygon": list(range(200)),
        "filled": False,
    }
    answer = {"proposals": {}, "masks": [mask] * 100, "hw": [1080, 1920]}
    frames = [PageFrame(f"{i}", i, partial(file_bytes, image, "JPEG")) for i in range(sides)]
    page, _ = render("t", "", frames, [PageVariant(str(v), "", True, 0.1, _LIST, [answer] * sides) for v in range(3)])
    assert len(page) < 5_000_000
