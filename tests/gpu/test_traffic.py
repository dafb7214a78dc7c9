"""How often a request crosses between the CPU and a real GPU, and how often the CPU waits for it: as the simulated one
says (``tests/functions/test_gpu_traffic.py``), with CUDA graphs and without.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from demo.interact import deepest
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import SCENE, continuing, first_shapes, starting
from tests.gpu.traffic import Traffic, traffic_of
from toy.png import png_base64
from toy.scenes import scene

PICTURES = [png_base64(scene(30_000_000 + number).image) for number in range(8)]
CLICK, BESIDE = deepest(SCENE.objects[-1].mask), [2.0, 2.0]


@pytest.fixture(params=["false", "true"], ids=["no graphs", "graphs"])
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"PROMPTABLE_DEVICE": "cuda", "PROMPTABLE_CUDA_GRAPHS": request.param}


def _click(picture: str, **more: Any) -> dict[str, Any]:
    return {"image": picture, "pos_points": [CLICK], "neg_points": [], "obj_bbox": []} | more


def _answered(function: Function, body: object) -> tuple[Any, Traffic]:
    return traffic_of(partial(function.answer, body))


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_a_click_is_one_copy_to_the_gpu_and_one_back(variables: dict[str, str], model: str) -> None:
    function = Function("sam-interactor", variables | {"PROMPTABLE_MODEL": str(TOY / model)})
    function.answer(_click(PICTURES[0]))
    function.answer(_click(PICTURES[0], obj_bbox=[[60, 60], [130, 130]]))  # now its graph is captured
    assert _answered(function, _click(PICTURES[1]))[1] == Traffic(2, 1, 1), "the picture, and then as any click"
    assert _answered(function, _click(PICTURES[1], neg_points=[BESIDE]))[1] == Traffic(1, 1, 1)
    assert _answered(function, _click(PICTURES[1], obj_bbox=[[60, 60], [130, 130]]))[1] == Traffic(1, 1, 1)


def test_a_picture_for_boxes_is_one_copy_to_the_gpu_and_one_back(variables: dict[str, str], tmp_path: Path) -> None:
    function = new_detector(tmp_path, [{"name": "blue star", "type": "rectangle"}], **variables)
    for picture in PICTURES[:-1]:  # all of one size; by then all graphs are captured
        function.answer({"image": picture})
    assert _answered(function, {"image": PICTURES[-1]})[1] == Traffic(1, 1, 1)


@pytest.mark.parametrize("kind", ["rectangle", "mask"])
def test_a_frame_is_a_picture_and_all_memories_to_the_gpu_and_one_copy_back(
    variables: dict[str, str], kind: str
) -> None:
    function = Function("sam2-tracker", variables | {"PROMPTABLE_MODEL": str(TOY / "sam2")})
    states = function.answer(starting(first_shapes(kind)))["states"]
    for frame in range(1, 7):
        states = function.answer(continuing(states, frame))["states"]
    for frame in range(7, 9):
        followed, traffic = _answered(function, continuing(states, frame))
        assert traffic == Traffic(2, 1, 1)
        states = followed["states"]


def test_the_count_counts() -> None:
    numbers = torch.ones(3, device="cuda")
    pinned = torch.ones(3, pin_memory=True)

    def crossing() -> None:
        pinned.to("cuda", non_blocking=True)
        numbers.sum().item()
        torch.ones(3).to("cuda")

    _, traffic = traffic_of(crossing)
    assert (traffic.to_gpu, traffic.waits, traffic.pageable >= 1) == (1, 2, True)
