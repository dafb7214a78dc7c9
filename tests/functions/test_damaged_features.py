"""Features with NaN in them, as a GPU that fails for a moment makes them, are neither answered from nor kept."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.sam2.segmenter import Sam2Segmenter
from promptable.models.sam2.video_tracker import VideoTracker
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import SCENE, good_request
from tests.redis_server import running_redis
from tests.simulated_cuda import simulated_cuda


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with simulated_cuda() if request.param == "cuda" else nullcontext():
        yield request.param


def damage_next(monkeypatch: pytest.MonkeyPatch, model: type, encode: str) -> list[bool]:
    """One number of the next picture's first map is NaN; an entry for each picture that is encoded."""
    plain: Callable[..., tuple[torch.Tensor, ...]] = getattr(model, encode)
    encoded: list[bool] = []

    def damaged(*args: Any) -> tuple[torch.Tensor, ...]:
        first, *others = plain(*args)
        encoded.append(not encoded)
        if encoded[-1]:
            first = first.clone()
            first[0, 0, 0, 0] = torch.nan
        return first, *others

    monkeypatch.setattr(model, encode, damaged)
    return encoded


def assert_an_error_once(function: Function, body: object, encoded: list[bool]) -> None:
    refused = function.post(body)
    assert refused.status_code == 500
    assert "NaN or Infinity" in function.log.getvalue()
    assert function.answer(body)
    assert encoded == [True, False]


@pytest.mark.parametrize("model", [SamSegmenter, Sam2Segmenter])
def test_a_click(device: str, monkeypatch: pytest.MonkeyPatch, model: type) -> None:
    name = "sam" if model is SamSegmenter else "sam2"
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / name), "PROMPTABLE_DEVICE": device})
    assert_an_error_once(function, good_request("interactor"), damage_next(monkeypatch, model, "_encode"))


def test_a_click_whose_picture_others_share(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_redis() as server:
        variables = {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_DEVICE": device}
        function = Function("sam-interactor", variables | server.variables)
        encoded = damage_next(monkeypatch, SamSegmenter, "_encode")
        assert function.post(good_request("interactor")).status_code == 500
        assert server.entries() == {}
        assert function.answer(good_request("interactor"))
        assert encoded == [True, False]


def test_masks_in_boxes(device: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labels = [{"name": thing.label, "type": "mask"} for thing in SCENE.objects]
    function = new_detector(tmp_path, labels, PROMPTABLE_DEVICE=device)
    assert_an_error_once(function, good_request("detector"), damage_next(monkeypatch, SamSegmenter, "_encode"))


def test_a_track(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function = Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2"), "PROMPTABLE_DEVICE": device})
    assert_an_error_once(function, good_request("tracker"), damage_next(monkeypatch, VideoTracker, "_levels"))
