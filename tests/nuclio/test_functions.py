"""The three function.yaml files under the real Nuclio: the same right pixels as under ``promptable serve``."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from demo.client import Client
from promptable.local.options import Options
from tests.e2e.test_functions import (  # noqa: F401 - run here again, with this module's client
    SEED,
    test_a_bad_request_does_not_change_the_next_answer,
    test_a_masks_polygon_outlines_the_mask,
    test_a_step_can_be_repeated_and_rewound,
    test_clicks_and_boxes_become_the_right_masks,
    test_eight_clients_at_once_get_the_answers_that_each_would_get_alone,
    test_every_detection_carries_its_confidence_in_percent,
    test_masks_and_boxes_are_followed,
    test_the_threshold_of_the_request_counts,
    test_words_become_the_right_boxes_and_masks,
)
from tests.nuclio.platforms import Platform
from toy.scenes import scene

ROOT = Path(__file__).parents[2]
TOY = ROOT / "toy"
NAMES = ("grounding-dino", "sam-interactor", "sam2-tracker")


@pytest.fixture(scope="module")
def client(nuclio: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The three functions, each under a processor of its own."""
    options = Options(models=TOY, labels=TOY / "labels.yaml")
    with ExitStack() as stack:
        served = {
            name: stack.enter_context(nuclio(ROOT / "functions" / name, tmp_path_factory.mktemp(name), options))
            for name in NAMES
        }
        yield Client({name: each.url for name, each in served.items()})


def test_the_body_of_an_8k_frame_reaches_the_function(client: Client) -> None:
    body = {"image": base64.b64encode(bytes(7680 * 4320 * 3)).decode(), "pos_points": [[1, 1]]}
    answer = httpx.post(client.urls["sam-interactor"], json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("image"), "our sentence about no picture, not Nuclio's about the size"


def test_every_answer_is_json_with_its_type(client: Client) -> None:
    for url in client.urls.values():
        answer = httpx.post(url, content=b"no JSON", timeout=60)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
        assert set(answer.json()) == {"error"}


def test_other_labels_take_no_more_than_another_processor_yaml(nuclio: Platform, tmp_path: Path) -> None:
    for name in ("before", "after"):
        work = tmp_path / name
        work.mkdir()
        labels = work / "labels.yaml"
        labels.write_text(f"- {{name: {name}, prompts: [red circle, blue square], threshold: 0.01}}\n")
        with nuclio(ROOT / "functions" / "grounding-dino", work, Options(models=TOY, labels=labels)) as served:
            items = Client({"grounding-dino": served.url}).detect(scene(SEED).image)
        assert {item["label"] for item in items} == {name}
