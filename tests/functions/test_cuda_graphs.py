"""The functions with CUDA graphs, on a simulated GPU: the same answers and no more traffic, captured before the first
request or when more pictures of a size can be expected."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.interact import deepest
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import SCENE, VIDEO, first_shapes
from tests.simulated_cuda import Traffic, counted, simulated_cuda
from toy.png import png_base64
from toy.scenes import scene

SCENES = [SCENE, *map(scene, range(30_000_004, 30_000_008))]
PICTURES = [png_base64(each.image) for each in SCENES]
POINTS = [deepest(thing.mask) for thing in SCENE.objects[-2:]]
CUDA = {"PROMPTABLE_DEVICE": "cuda"}
WITHOUT_GRAPHS = {"PROMPTABLE_CUDA_GRAPHS": "false"}

Build = Callable[[Mapping[str, str]], Function]


@pytest.fixture(autouse=True)
def _cuda() -> Iterator[None]:
    with simulated_cuda():
        yield


def _pair(build: Build) -> tuple[Function, Function]:
    """Without and with graphs."""
    return build(CUDA | WITHOUT_GRAPHS), build(CUDA)


def _graphs(function: Function) -> int:
    """Captured so far; raises where a stage did without."""
    log = function.log.getvalue()
    assert "no CUDA graphs" not in log
    return len(re.findall("a CUDA graph for", log))


def _answered(functions: Sequence[Function], bodies: Sequence[Any]) -> tuple[Any, Any, Traffic, Traffic]:
    """Both answers, and the traffic that they took."""
    answers, traffics = [], []
    for function, body in zip(functions, bodies, strict=True):
        with counted() as traffic:
            answers.append(function.answer(body))
        traffics.append(traffic)
    return answers[0], answers[1], traffics[0], traffics[1]


def _crossings(traffic: Traffic) -> tuple[int, int]:
    return len(traffic.copies), len(traffic.waits)


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_an_interactor_is_captured_before_its_first_click(model: str) -> None:
    functions = _pair(lambda env: Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / model)} | dict(env)))
    captured = _graphs(functions[1])
    assert captured > _graphs(functions[0]) == 0
    for picture in [*PICTURES[:2], PICTURES[0]]:  # the first one's features are found again
        for count in (1, 2):
            body = {"image": picture, "pos_points": POINTS[:count], "neg_points": [], "obj_bbox": []}
            plain, graphed, *traffic = _answered(functions, [body, body])
            assert graphed == plain
            assert _crossings(traffic[1]) == _crossings(traffic[0])
    assert _graphs(functions[1]) == captured


def test_a_detector_is_captured_at_the_fourth_picture_of_a_size(tmp_path: Path) -> None:
    names = dict.fromkeys(each.objects[-1].label for each in SCENES)
    labels = [{"name": name, "type": "mask"} for name in names]
    functions = _pair(lambda env: new_detector(tmp_path, labels, **env))
    captured = [_graphs(functions[1])]
    for picture in PICTURES:
        plain, graphed, *traffic = _answered(functions, [{"image": picture}] * 2)
        assert len(plain) > 0
        assert graphed == plain
        captured.append(_graphs(functions[1]))
    assert captured[1] == captured[3] < captured[4] == captured[5]
    assert _crossings(traffic[1]) == _crossings(traffic[0])


def test_a_tracker_is_captured_before_its_first_frame_and_at_its_fifth() -> None:
    functions = _pair(lambda env: Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2")} | dict(env)))
    shapes = first_shapes("mask")
    captured, bodies = [], [{"image": png_base64(VIDEO[0].image), "shapes": shapes, "states": []}] * 2
    for frame in VIDEO[1:7]:
        plain, graphed, *traffic = _answered(functions, bodies)
        assert graphed["shapes"] == plain["shapes"]
        captured.append(_graphs(functions[1]))
        more = {"image": png_base64(frame.image), "shapes": [None] * len(shapes)}
        bodies = [more | {"states": answer["states"]} for answer in (plain, graphed)]
    assert captured == [1, 1, 1, 1, 2, 2]
    assert _crossings(traffic[1]) == _crossings(traffic[0])
