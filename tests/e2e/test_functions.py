"""Right pixels for right words, clicks, boxes and masks, over HTTP.

The bounds lie a little under what the toy checkpoints reach on many more scenes (toy/*/training.json), since few
scenes scatter.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from demo.answers import drawing_of
from demo.client import Client
from demo.detect import DetectorResult, detect
from demo.interact import InteractorResult, deepest, interact
from demo.returning import ReturnResult, follow, there_and_back
from demo.similar import SimilarResult, find_similar
from demo.track import TrackerResult, track
from promptable.local.server import Running
from promptable.wire.masks import polygon_to_mask
from toy.metrics import mask_iou
from toy.png import png_base64
from toy.scenes import scene, video

SEED = 40_000_000


def test_words_become_the_right_boxes_and_masks(client: Client) -> None:
    result = DetectorResult()
    for seed in range(SEED, SEED + 20):
        detect(client, scene(seed), result)
    summary = result.summary()
    assert summary["f1"] > 0.8
    assert summary["mean_iou"] > 0.75
    assert summary["mask_iou"] > 0.86
    assert summary["right_label"] > 0.9


def test_clicks_and_boxes_become_the_right_masks(client: Client) -> None:
    result = InteractorResult()
    for seed in range(SEED, SEED + 10):
        interact(client, scene(seed), result)
    summary = result.summary()
    assert summary["click_iou"] > 0.86
    assert summary["box_iou"] > 0.9
    assert summary["refined_iou"] > summary["click_iou"]


def test_masks_and_boxes_are_followed(client: Client) -> None:
    result = TrackerResult()
    for seed in range(SEED, SEED + 4):
        track(client, video(seed, leaving=0.0), result)
    summary = result.summary()
    assert summary["j_mask"] > 0.7
    assert summary["j_box"] > 0.65


def test_polygons_are_followed_past_one_another_and_found_again(client: Client) -> None:
    """Measured: 0.92, and all of 6 objects that left and of 6 that crossed."""
    result = ReturnResult()
    for seed in range(SEED, SEED + 3):
        follow(client, there_and_back(seed), result)
    assert len(result.found_again) >= 5
    assert len(result.kept_apart) >= 6
    assert result.summary()["j_polygon"] > 0.85
    assert result.summary()["found_again"] >= 0.8
    assert result.summary()["kept_apart"] > 0.8


def test_one_reference_is_found_on_other_pictures(client: Client) -> None:
    """Far more often than by chance, though the toy checkpoint has only ever followed videos. Measured: 0.55."""
    result = SimilarResult()
    for seed in range(SEED, SEED + 6):
        find_similar(client, seed, result)
    assert result.summary()["similar_iou"] > 0.48


def test_a_masks_polygon_outlines_the_mask(client: Client) -> None:
    items = [item for seed in range(SEED, SEED + 6) for item in client.detect(scene(seed).image)]
    masks = [item for item in items if item["type"] == "mask"]
    assert masks
    for item in masks:
        mask = drawing_of(item, (192, 192)).mask
        assert mask is not None
        assert mask_iou(polygon_to_mask(item["points"], (192, 192)), mask) > 0.85


def test_the_threshold_of_the_request_counts(client: Client) -> None:
    image = scene(SEED + 1).image
    counts = [len(client.detect(image, threshold)) for threshold in (0.05, 0.35, 0.99)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]


def test_every_detection_carries_its_confidence_in_percent(client: Client) -> None:
    items = client.detect(scene(SEED + 2).image)
    assert items
    for item in items:
        assert {"name": "confidence", "value": str(math.floor(100 * item["confidence"]))} in item["attributes"]


def test_eight_clients_at_once_get_the_answers_that_each_would_get_alone(client: Client) -> None:
    scenes = [scene(SEED + number) for number in range(8)]
    clicks = [deepest(each.objects[-1].mask) for each in scenes]

    def ask(number: int) -> tuple[Any, Any]:
        image = scenes[number].image
        return client.interact(image, positive=[clicks[number]]).tolist(), client.detect(image)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(8)))
    assert together == [ask(number) for number in range(8)]


def test_the_dashboard_gives_the_same_answer_as_the_functions_own_port(client: Client, running: Running) -> None:
    image = scene(SEED).image
    body = {"image": png_base64(image)}
    headers = {"x-nuclio-function-name": "grounding-dino", "x-nuclio-path": "/"}
    url = f"{running.dashboard_url}/api/function_invocations"
    assert httpx.post(url, json=body, headers=headers, timeout=60).json() == client.detect(image)


def test_a_step_can_be_repeated_and_rewound(client: Client) -> None:
    clip = video(SEED, leaving=0.0)
    shapes = [{"type": "rectangle", "points": thing.xyxy.tolist()} for thing in clip[0].objects]
    states = client.start_tracking(clip[0].image, shapes)
    first, after_first = client.track(clip[1].image, states)
    second, _ = client.track(clip[2].image, after_first)
    assert client.track(clip[1].image, states)[0] == first
    assert client.track(clip[2].image, after_first)[0] == second


def test_a_bad_request_does_not_change_the_next_answer(client: Client) -> None:
    first = video(SEED)[0]
    mask = client.interact(first.image, box=first.objects[-1].xyxy.tolist())
    assert mask_iou(mask, first.objects[-1].mask) > 0.5
    bad = httpx.post(client.urls["sam-interactor"], json={"image": "AAAA", "pos_points": [[1, 1]]}, timeout=60)
    assert (bad.status_code, "Traceback" in bad.text) == (400, False)
    assert (client.interact(first.image, box=first.objects[-1].xyxy.tolist()) == mask).all()
