"""Stages that are replayed from CUDA graphs answer what they answer without, and those that cannot be captured too."""

import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from demo.interact import deepest
from promptable.models.runtime.cuda_graphs import Graphs, Stage
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import continuing, first_shapes, starting
from tests.golden.alike import assert_alike
from toy.png import png_base64
from toy.scenes import scene

CUDA = torch.device("cuda")
SCENES = [scene(30_000_000 + number) for number in range(8)]
PICTURES = [png_base64(each.image) for each in SCENES]
POINTS = [deepest(thing.mask) for thing in SCENES[0].objects[-2:]]

Build = Callable[[Mapping[str, str]], Function]


def _pair(build: Build) -> tuple[Function, Function]:
    """Without and with graphs."""
    plain, graphed = (
        build({"PROMPTABLE_DEVICE": "cuda", "PROMPTABLE_CUDA_GRAPHS": wanted}) for wanted in ("false", "true")
    )
    return plain, graphed


def _graphs(function: Function) -> int:
    """Captured so far; raises where a stage did without."""
    log = function.log.getvalue()
    assert "no CUDA graphs" not in log
    return len(re.findall("a CUDA graph for", log))


def _click(picture: str, count: int) -> dict[str, Any]:
    return {"image": picture, "pos_points": POINTS[:count], "neg_points": [], "obj_bbox": []}


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_an_interactor_is_captured_before_its_first_click(model: str) -> None:
    plain, graphed = _pair(lambda env: Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / model)} | dict(env)))
    captured = _graphs(graphed)
    assert captured > _graphs(plain) == 0
    for picture in [*PICTURES[:3], PICTURES[0]]:  # the first one's features are found again
        for count in (1, 2):
            assert_alike(graphed.answer(_click(picture, count)), plain.answer(_click(picture, count)))
    assert _graphs(graphed) == captured


def test_a_detector_is_captured_when_a_size_comes_again(tmp_path: Path) -> None:
    names = dict.fromkeys(each.objects[-1].label for each in SCENES)
    labels = [{"name": name, "type": "mask"} for name in names]
    plain, graphed = _pair(lambda env: new_detector(tmp_path, labels, **env))
    captured, found = [_graphs(graphed)], 0
    for picture in PICTURES:
        expected = plain.answer({"image": picture})
        assert_alike(graphed.answer({"image": picture}), expected)
        captured.append(_graphs(graphed))
        found += len(expected)
    assert found > len(PICTURES)
    assert captured[0] < captured[-2] == captured[-1]


def test_a_tracker_is_captured_before_its_first_frame_and_when_as_many_objects_come_again() -> None:
    plain, graphed = _pair(lambda env: Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2")} | dict(env)))
    captured = [_graphs(graphed)]
    first = starting(first_shapes("mask"))
    answers = [function.answer(first) for function in (plain, graphed)]
    for frame in range(1, 8):
        bodies = [continuing(answer["states"], frame) for answer in answers]
        answers = [function.answer(body) for function, body in zip((plain, graphed), bodies, strict=True)]
        assert_alike(answers[1]["shapes"], answers[0]["shapes"])
        captured.append(_graphs(graphed))
    assert 0 < captured[0] < captured[-2] == captured[-1]


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_two_threads_at_once(model: str) -> None:
    """Each encodes its picture anew, and has the first's graphs to itself meanwhile."""
    common = {"PROMPTABLE_MODEL": str(TOY / model), "PROMPTABLE_FEATURE_CACHE_MB": "0"}
    plain, graphed = _pair(lambda env: Function("sam-interactor", common | dict(env)))
    boxes = [each.objects[-1].xyxy.reshape(2, 2).tolist() for each in SCENES]
    bodies = [
        {"image": picture, "pos_points": [], "neg_points": [], "obj_bbox": box}
        for picture, box in zip(PICTURES, boxes, strict=True)
    ]
    expected = [plain.answer(body) for body in bodies]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(graphed.answer, bodies * 3))
    for answer, wanted in zip(found, expected * 3, strict=True):
        assert_alike(answer, wanted)
    _graphs(graphed)


def _numbers(rows: int) -> Tensor:
    return torch.rand(rows, 2, generator=torch.Generator().manual_seed(rows)).to(CUDA)


def _assert_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for pair in zip(found, expected, strict=True):
        torch.testing.assert_close(*pair)


def _doubles(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers * 2,)


def _reads(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers * float(numbers.sum().item()),)


def _brings(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers + torch.tensor([1.0, 2.0], device=numbers.device),)


def _chooses(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers[numbers[:, 0] > 0.5].sum(0),)


@pytest.mark.parametrize("run", [_reads, _brings, _chooses])
@torch.inference_mode()
def test_a_stage_that_cannot_be_captured_goes_on_without(run: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """And costs other stages nothing: neither a later one its graph, nor an earlier one the graph that it has."""
    caplog.set_level(logging.INFO)
    graphs, before = Graphs(CUDA, wanted=True), torch.cuda.current_stream()
    earlier, staged, later = (
        graphs.stage(name, each, 4) for name, each in (("earlier", _doubles), ("this", run), ("later", _doubles))
    )
    earlier(_numbers(3))
    for rows in (3, 3, 4):
        _assert_same(staged(_numbers(rows)), run(_numbers(rows)))
    assert torch.cuda.current_stream() == before
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("this: no CUDA graphs, it goes on kernel by kernel:")
    for stage in (earlier, later):
        for more in range(2):
            _assert_same(stage(_numbers(3) + more), _doubles(_numbers(3) + more))
    assert re.findall("(.*): a CUDA graph for", caplog.text)[-1].endswith("later")
    torch.cuda.empty_cache()  # which fails where the allocator takes a capture to go on
    assert torch.rand(2, device=CUDA).isfinite().all()


@torch.inference_mode()
def test_later_answers_leave_earlier_ones_alone() -> None:
    """Though all graphs of a model write to the same memory."""
    graphs = Graphs(CUDA, wanted=True)
    one, other = graphs.stage("one", _doubles, 4), graphs.stage("other", _doubles, 4)
    first = one(_numbers(3))
    second = other(first[0])
    third = one(_numbers(3) + 1)
    _assert_same((*first, *second, *third), (_numbers(3) * 2, _numbers(3) * 4, _numbers(3) * 2 + 2))
