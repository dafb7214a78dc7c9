"""Our own extension of the detector's request: labels in place of the deployed ones, and a floor for thresholds."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functions.conftest import Function, new_detector
from tests.functions.requests import SCENE
from toy.png import png_base64

BODY = {"image": png_base64(SCENE.image)}
FOUND = SCENE.objects[-1].label
KEYS = ["name", "type", "prompts", "threshold", "marks", "id", "attributes", "other"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["mask", FOUND]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def boxes_only(tmp_path_factory: pytest.TempPathFactory) -> Function:
    """A detector without mask labels, and without the mask model's weights."""
    folder = tmp_path_factory.mktemp("boxes")
    missing = {"PROMPTABLE_MASK_MODEL": "vit_b", "PROMPTABLE_WEIGHTS": str(folder)}
    return new_detector(folder, [{"name": "nothing of it", "prompts": ["red circle"], "threshold": 1.0}], **missing)


def test_labels_of_the_request_replace_the_deployed_ones(tmp_path: Path) -> None:
    entries = [{"name": "it", "prompts": [FOUND], "type": "polygon"}]
    expected = new_detector(tmp_path, entries).answer(BODY)
    other = new_detector(tmp_path, [{"name": "red circle"}])
    assert other.answer(BODY | {"labels": entries}) == expected != []
    assert {item["label"] for item in other.answer(BODY | {"labels": [FOUND]})} == {FOUND}, "a name is enough"


def test_the_deployed_labels_stay(boxes_only: Function) -> None:
    before = boxes_only.answer(BODY)
    assert boxes_only.answer(BODY | {"labels": [FOUND]}) != before
    assert boxes_only.answer(BODY) == before


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("red", "labels: expected a list of 1 to 2000 items, got a text"),
        ([], "labels: expected a list of 1 to 2000 items, got a list of 0"),
        (["x"] * 2001, "labels: expected a list of 1 to 2000 items, got a list of 2001"),
        ([{"name": "a", "type": "circle"}], "labels: label 'a': type must be one of"),
        (["红"], "labels: label '红': "),
        ([{"name": "a", "prompts": ["red circle"] * 9}, {"name": "b", "prompts": ["Red  circle"]}], "the same"),
        ([{"name": FOUND, "type": "mask"}], "types mask and polygon need the mask model"),
    ],
)
def test_wrong_labels_are_a_400_with_the_sentence_of_labels_yaml(
    boxes_only: Function, labels: object, sentence: str
) -> None:
    response = boxes_only.post(BODY | {"labels": labels})
    assert response.status_code == 400
    assert sentence in json.loads(response.body)["error"]


@pytest.mark.parametrize("label", ["x" * 1_000_000, ["x"] * 100_000, {"name": "a", "x" * 1_000_000: 1}])
def test_wrong_labels_come_back_in_part(boxes_only: Function, label: object) -> None:
    response = boxes_only.post(BODY | {"labels": [label]})
    assert response.status_code == 400
    assert len(response.body) < 1000


def test_labels_that_are_nested_without_end_are_a_400(boxes_only: Function) -> None:
    nested = "[" * 1000 + "]" * 1000
    response = boxes_only.post(f'{{"image": "{BODY["image"]}", "labels": {nested}}}'.encode())
    assert response.status_code == 400
    assert json.loads(response.body)["error"].startswith("labels: ")


@pytest.mark.parametrize("floor", [-0.1, 1.5, "low", True, []])
def test_a_wrong_floor_is_a_400(boxes_only: Function, floor: object) -> None:
    response = boxes_only.post(BODY | {"floor": floor})
    assert response.status_code == 400
    assert "floor: expected a number from 0 to 1" in json.loads(response.body)["error"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=JSON)
def test_no_labels_whatever_are_a_fault_of_ours(boxes_only: Function, labels: object) -> None:
    body = json.dumps(BODY | {"labels": labels}).encode()
    assert boxes_only.post(body).status_code in (200, 400)


def test_a_hundred_label_lists_leave_a_few_in_memory(boxes_only: Function) -> None:
    for i in range(20):
        boxes_only.answer(BODY | {"labels": [{"name": f"label {i}", "prompts": [FOUND]}]})
    answer = boxes_only.context.user_data.answer
    assert len(answer._requested._sets) == 8


def test_an_answer_to_a_floor_names_the_model_and_its_weights(boxes_only: Function) -> None:
    answer = boxes_only.answer(BODY | {"labels": [FOUND], "floor": 0.5})
    assert re.fullmatch(r".*grounding-dino [0-9a-f]{16}", answer["model"])


def test_a_floor_is_raised_where_there_would_be_too_much(boxes_only: Function) -> None:
    answer = boxes_only.answer(BODY | {"labels": [FOUND], "floor": 0})
    assert len(answer["proposals"]["scores"]) <= 1000
    assert min(answer["proposals"]["scores"], default=1.0) >= answer["floor"]
