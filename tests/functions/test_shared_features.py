"""Replicas of the interactor encode a picture once between them, and a restart forgets nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.sam2.segmenter import Sam2Segmenter
from promptable.store.redis_server import connect
from tests.functions.conftest import TOY, Function
from tests.functions.requests import SCENE, good_request
from toy.redis_server import RedisServer

BODY = good_request("interactor")
FEATURES = b"promptable:features:2:"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each picture that is encoded."""
    pictures: list[int] = []
    for kind in (SamSegmenter, Sam2Segmenter):
        monkeypatch.setattr(kind, "encode_image", _counted(kind.encode_image, pictures))
    return pictures


def _counted(encode: Callable[..., Any], pictures: list[int]) -> Callable[..., Any]:
    def counted(segmenter: object, image: object) -> Any:
        pictures.append(len(pictures))
        return encode(segmenter, image)

    return counted


@pytest.fixture(params=["sam", "sam2"])
def model(request: pytest.FixtureRequest) -> str:
    return str(TOY / request.param)


def _replica(server: RedisServer, encoded: list[int], model: str, **more: str) -> Function:
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": model} | server.variables | more)
    encoded.clear()  # of the warm start
    return function


def _answer(function: Function) -> Any:
    """An answer that could not be that of other features: something is found."""
    answer = function.answer(BODY)
    assert answer["shapes"]
    return answer


def _shared(server: RedisServer) -> tuple[bytes, bytes]:
    """The one picture's key and features."""
    ((key, value),) = ((key, value) for key, value in server.entries().items() if key.startswith(FEATURES))
    return key, value


def test_a_second_replica_finds_what_the_first_encoded(server: RedisServer, encoded: list[int], model: str) -> None:
    first = _replica(server, encoded, model)
    answer = _answer(first)
    assert len(encoded) == 1
    second = _replica(server, encoded, model)
    assert _answer(second) == answer
    assert encoded == []
    _, features = _shared(server)
    assert load(features).keys() >= {"hw", "0"}, "safetensors, never a pickle"


def test_the_features_found_are_the_ones_used(server: RedisServer, encoded: list[int], model: str) -> None:
    """Or the test above would show nothing."""
    answer = _answer(_replica(server, encoded, model))
    key, features = _shared(server)
    named = load(features)
    zeros = {name: tensor if name == "hw" else torch.zeros_like(tensor) for name, tensor in named.items()}
    connect("127.0.0.1", server.port).client.set(key, save(zeros))
    assert _replica(server, encoded, model).answer(BODY) != answer
    assert encoded == []


def test_features_of_another_precision_are_not_taken(server: RedisServer, encoded: list[int], model: str) -> None:
    _answer(_replica(server, encoded, model))
    _answer(_replica(server, encoded, model, PROMPTABLE_PRECISION="bf16"))
    assert len(encoded) == 1


def test_features_of_another_configuration_are_not_taken(
    server: RedisServer, encoded: list[int], tmp_path: Path
) -> None:
    """The same weights, built with other windows: features of the same form, but not the same."""
    for name, windows in (("one", "[8, 8, 6]"), ("other", "[8, 8, 4]")):
        shutil.copytree(TOY / "sam2", tmp_path / name)
        config = tmp_path / name / "config.yaml"
        config.write_text(config.read_text().replace("window_spec: [8, 8, 6]", f"window_spec: {windows}"))
        _replica(server, encoded, str(tmp_path / name)).answer(BODY)
        assert len(encoded) == 1


def test_hosts_with_and_without_a_matrix_unit_agree(
    server: RedisServer, encoded: list[int], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for has_unit in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has_unit=has_unit: {"amx_bf16": has_unit})
        monkeypatch.setattr(torch.cpu, "_init_amx", lambda: True)
        answers.append(_answer(_replica(server, encoded, model, PROMPTABLE_PRECISION="auto")))
    assert answers[0] == answers[1]
    assert encoded == [], "the second one found what the first had encoded, in float32"


FORGED: dict[str, Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]] = {
    "a tensor less": lambda named: {name: tensor for name, tensor in named.items() if name != "0"},
    "a tensor more": lambda named: named | {"9": torch.zeros(1)},
    "another shape": lambda named: named | {"0": named["0"][:, :, 1:].contiguous()},
    "another type": lambda named: named | {"0": named["0"].half()},
    "another size of picture": lambda named: named | {"hw": named["hw"] + 1},
    "a size of nothing": lambda named: named | {"hw": named["hw"] * 0},
    "NaN": lambda named: named | {"0": named["0"] * torch.nan},
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_forged_features_are_made_again(
    server: RedisServer, encoded: list[int], model: str, forge: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = _answer(_replica(server, encoded, model))
    key, features = _shared(server)
    connect("127.0.0.1", server.port).client.set(key, save(forge(load(features))))
    assert _answer(_replica(server, encoded, model)) == answer
    assert len(encoded) == 1
    assert "features in Redis cannot be read" in caplog.text
    assert _shared(server) == (key, features), "the forged ones are overwritten"


def test_damaged_values_are_made_again(
    server: RedisServer, encoded: list[int], model: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = _answer(_replica(server, encoded, model))
    server.overwrite(b"nonsense")
    assert _answer(_replica(server, encoded, model)) == answer
    assert len(encoded) == 1
    assert "features in Redis cannot be read" in caplog.text
    assert "a click in Redis cannot be read" in caplog.text


def test_a_correction_may_land_on_another_replica(server: RedisServer, encoded: list[int], model: str) -> None:
    corrected = BODY | {"neg_points": [(SCENE.objects[-1].xyxy[:2] + 3).tolist()]}
    first, second = _replica(server, encoded, model), _replica(server, encoded, model)
    alone = Function("sam-interactor", {"PROMPTABLE_MODEL": model})
    fresh = alone.answer(corrected)
    _answer(first)
    refined = second.answer(corrected)
    assert refined != fresh
    assert first.answer(corrected) == refined


def test_without_redis_it_goes_on(
    server: RedisServer, encoded: list[int], model: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = _answer(_replica(server, encoded, model))
    restarted = _replica(server, encoded, model)
    server.stop()
    assert _answer(restarted) == expected
    assert len(encoded) == 1
    assert "Redis failed" in caplog.text
