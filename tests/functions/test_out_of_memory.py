"""Wherever memory runs out, the answer is 507: that it is a lack of memory must not look like a lost GPU."""

from pathlib import Path
from typing import Any

import pytest
import torch

from promptable.models.segmentation.features import ImageFeatures
from promptable.wire import detector, interactor, tracker
from tests.functions.conftest import TOY, Function, new_detector
from tests.functions.requests import SCENE, good_request
from toy.redis_server import RedisServer

NO_WORKSPACE = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
"""What PyTorch raises on a full GPU at the first matrix product: worded as errors after which the process ends."""


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for each time that the process would have ended."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    return codes


def fail(*_: object, **__: object) -> Any:
    raise NO_WORKSPACE


def test_while_new_labels_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[int]) -> None:
    function = new_detector(tmp_path, [{"name": SCENE.objects[0].label}])
    body = good_request("detector") | {"labels": ["red star", "blue circle"]}
    with monkeypatch.context() as patch:
        patch.setattr(function.context.user_data.answer._models.detector._model.bert, "forward", fail)
        assert (function.post(body).status_code, ended) == (507, [])
    assert function.post(body).status_code == 200


def test_while_the_model_of_masks_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[int]) -> None:
    function = new_detector(tmp_path, [{"name": SCENE.objects[0].label}])
    monkeypatch.setattr("promptable.models.sam.segmenter.load", fail)
    body = good_request("detector") | {"labels": [{"name": SCENE.objects[-1].label, "type": "mask"}]}
    assert (function.post(body).status_code, ended) == (507, [])


def test_while_features_are_copied_for_other_replicas(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, ended: list[int]
) -> None:
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")} | server.variables)
    with monkeypatch.context() as patch:
        patch.setattr(ImageFeatures, "to_bytes", fail)
        assert (function.post(good_request("interactor")).status_code, ended) == (507, [])
    assert function.answer(good_request("interactor"))["shapes"]


@pytest.mark.parametrize("error", [NO_WORKSPACE, MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_while_the_answer_is_written(
    function: Function,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    ended: list[int],
    error: Exception,
) -> None:
    def fail(*_: object) -> Any:
        raise error

    kind = request.node.callspec.params["function"]
    monkeypatch.setattr({"detector": detector, "interactor": interactor, "tracker": tracker}[kind], "encode", fail)
    assert (function.post(good_request(kind)).status_code, ended) == (507, [])
