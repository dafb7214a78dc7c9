"""What the interactor does once, before its first click, and what it never does for a request that is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from promptable.models.catalogue import sam2_model
from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.sam2.segmenter import Sam2Segmenter
from promptable.models.segmentation.segmenter import Prompt
from tests.functions.conftest import TOY, Function
from tests.functions.requests import good_request
from tests.simulated_cuda import simulated_cuda


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A ``Prompt`` for each prediction and the word ``encoded`` for each picture."""
    made: list[Any] = []
    for kind in (SamSegmenter, Sam2Segmenter):
        monkeypatch.setattr(kind, "encode_image", _noted(kind.encode_image, lambda *_: made.append("encoded")))
        monkeypatch.setattr(kind, "predict", _noted(kind.predict, lambda _, prompt, *__: made.append(prompt)))
    return made


def _noted(method: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    def noted(segmenter: object, *arguments: object) -> Any:
        note(*arguments)
        return method(segmenter, *arguments)

    return noted


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_the_model_is_warm_on_a_gpu_before_the_first_click(calls: list[Any], model: str) -> None:
    """For the lone click, which has several candidates, for the box, and for clicks that refine, one to six of them."""
    with simulated_cuda():
        Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / model), "PROMPTABLE_DEVICE": "cuda"})
    first, *prompts = calls
    assert first == "encoded"
    assert all(isinstance(prompt, Prompt) for prompt in prompts)
    kinds = [(prompt.is_ambiguous, prompt.box_xyxy is None, prompt.mask_input is None) for prompt in prompts]
    assert kinds == [(True, True, True), (False, False, True), *[(False, True, False)] * 6]


def test_a_cpu_has_nothing_to_warm(calls: list[Any]) -> None:
    Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam2"), "PROMPTABLE_DEVICE": "cpu"})
    assert calls == []


def test_a_bad_prompt_on_a_new_picture_is_refused_before_it_is_encoded(calls: list[Any]) -> None:
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")})
    calls.clear()
    assert function.post(good_request("interactor") | {"pos_points": [[500, 5]]}).status_code == 400
    assert calls == []
    assert function.post(good_request("interactor")).status_code == 200
    assert calls[0] == "encoded"


@pytest.mark.parametrize(
    ("device", "model"), [("cpu", "sam2.1-tiny"), ("cuda", "sam2.1-large"), ("cuda:1", "sam2.1-large")]
)
def test_the_default_model_suits_the_device(device: str, model: str) -> None:
    assert sam2_model(device) == model
