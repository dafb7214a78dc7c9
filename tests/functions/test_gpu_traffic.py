"""How often a request crosses between the CPU and a (simulated) GPU, and how often the CPU waits for it.

Each wait costs a GPU the time in which nothing is queued, whatever its size: the counts are held, so that no loop over
masks, and no ``.item()``, comes back. Without CUDA graphs: to capture one, the CPU waits (``test_cuda_graphs``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from demo.interact import deepest
from promptable.models.pixels import resize
from promptable.wire.images.encoded import EncodedImage
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import SCENE, VIDEO, first_shapes
from tests.redis_server import running_redis
from tests.simulated_cuda import Traffic, counted, simulated_cuda
from toy.png import png_base64
from toy.scenes import Scene, scene

LATER: Scene = scene(30_000_004)
LATER_PICTURE = png_base64(LATER.image)
CUDA = {"PROMPTABLE_DEVICE": "cuda", "PROMPTABLE_CUDA_GRAPHS": "false"}
CLICK, BESIDE = deepest(SCENE.objects[-1].mask), [2.0, 2.0]


@pytest.fixture(autouse=True)
def _cuda() -> Iterator[None]:
    resize._known.clear()
    with simulated_cuda():
        yield


def _traffic(function: Function, body: object) -> tuple[Any, Traffic]:
    with counted() as traffic:
        answer = function.answer(body)
    return answer, traffic


def assert_crossings(traffic: Traffic, copies: int, waits: int) -> None:
    assert (len(traffic.copies), len(traffic.waits)) == (copies, waits), "\n".join(traffic.copies + traffic.waits)
    assert not traffic.pageable


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_a_click_is_one_copy_to_the_gpu_and_one_back(model: str) -> None:
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / model)} | CUDA)
    click = {"image": png_base64(SCENE.image), "pos_points": [CLICK], "neg_points": [], "obj_bbox": []}
    _, first = _traffic(function, click)
    assert_crossings(first, copies=3, waits=1)  # the picture, and then as any click
    _, later = _traffic(function, click | {"neg_points": [BESIDE]})  # with the logits of the first
    assert_crossings(later, copies=2, waits=1)
    _, box = _traffic(function, click | {"obj_bbox": [[60, 60], [130, 130]]})
    assert_crossings(box, copies=2, waits=1)


def test_features_that_replicas_share_cross_in_one_copy_each_way() -> None:
    click = {"image": png_base64(SCENE.image), "pos_points": [CLICK], "neg_points": [], "obj_bbox": []}
    with running_redis() as server:
        variables = {"PROMPTABLE_MODEL": str(TOY / "sam2")} | CUDA | server.variables
        _, encoding = _traffic(Function("sam-interactor", variables), click)
        assert_crossings(encoding, copies=4, waits=2)  # as a first click, and the features back
        _, finding = _traffic(Function("sam-interactor", variables), click)
        assert_crossings(finding, copies=3, waits=1)


def test_a_picture_for_boxes_is_one_copy_to_the_gpu_and_one_back(tmp_path: Path) -> None:
    function = new_detector(tmp_path, [{"name": "blue star", "type": "rectangle"}], **CUDA)
    function.answer({"image": png_base64(SCENE.image)})
    _, traffic = _traffic(function, {"image": LATER_PICTURE})  # of the same size
    assert_crossings(traffic, copies=2, waits=1)


@pytest.mark.parametrize(("new", "copies"), [("size", 5), ("labels", 3)])
def test_a_new_size_or_new_labels_cross_too_but_are_not_waited_for(tmp_path: Path, new: str, copies: int) -> None:
    function = new_detector(tmp_path, [{"name": "blue star", "type": "rectangle"}], **CUDA)
    function.answer({"image": png_base64(SCENE.image)})
    image = png_base64(SCENE.image[:-40]) if new == "size" else LATER_PICTURE
    labels = {} if new == "size" else {"labels": [{"name": "red circle"}, {"name": "green square"}]}
    _, traffic = _traffic(function, {"image": image} | labels)
    assert_crossings(traffic, copies=copies, waits=1)  # a size: how to resize it, its windows, and where features lie


def test_masks_of_a_picture_come_back_together(tmp_path: Path) -> None:
    labels = [{"name": thing.label, "type": "mask"} for thing in LATER.objects]
    function = new_detector(tmp_path, labels, **CUDA)
    assert function.answer({"image": png_base64(LATER.image[:, ::-1])})  # of the same size
    with patch.object(EncodedImage, "decode", autospec=True, side_effect=EncodedImage.decode) as decode:
        answer, traffic = _traffic(function, {"image": LATER_PICTURE})
    assert len(answer) > 2
    assert_crossings(traffic, copies=4, waits=2)  # the picture to both models, boxes back and there, masks
    assert decode.call_count == 1


def test_a_picture_for_tiles_is_one_copy_to_the_gpu(tmp_path: Path) -> None:
    labels = [{"name": "blue star", "type": "rectangle"}]
    function = new_detector(tmp_path, labels, **CUDA, PROMPTABLE_TILE_SIZE="128")
    function.answer({"image": png_base64(SCENE.image)})
    _, traffic = _traffic(function, {"image": LATER_PICTURE})
    _, *answers = traffic.copies
    assert len(answers) == len(traffic.waits) > 1


@pytest.mark.parametrize("kind", ["rectangle", "mask"])
def test_a_frame_is_a_picture_and_all_memories_to_the_gpu_and_one_copy_back(kind: str) -> None:
    function = Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2")} | CUDA)
    frames = [png_base64(frame.image) for frame in VIDEO[:4]]
    shapes = first_shapes(kind)
    assert len(shapes) > 1
    function.answer({"image": LATER_PICTURE, "shapes": shapes[:1], "states": []})
    begun, start = _traffic(function, {"image": frames[0], "shapes": shapes, "states": []})
    assert_crossings(start, copies=3, waits=1)
    states = begun["states"]
    for frame in frames[1:]:
        followed, step = _traffic(function, {"image": frame, "shapes": [None] * len(shapes), "states": states})
        assert_crossings(step, copies=3, waits=1)
        states = followed["states"]
