"""Replicas of the interactor encode a picture once between them, and a restart forgets nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load

from promptable.models.sam import SamSegmenter
from tests.functions.conftest import TOY, Function
from tests.functions.requests import good_request
from tests.redis_server import RedisServer, running_redis


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each picture that SAM encodes."""
    pictures: list[int] = []
    encode: Callable[..., Any] = SamSegmenter.encode_image

    def counted(segmenter: SamSegmenter, image: np.ndarray) -> Any:
        pictures.append(len(pictures))
        return encode(segmenter, image)

    monkeypatch.setattr(SamSegmenter, "encode_image", counted)
    return pictures


def _replica(server: RedisServer, encoded: list[int], **more: str) -> Function:
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")} | server.variables | more)
    encoded.clear()  # of the warm start
    return function


def test_the_model_is_warm_before_the_first_click(encoded: list[int]) -> None:
    Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")})
    assert len(encoded) == 1


def test_a_second_replica_finds_what_the_first_encoded(encoded: list[int]) -> None:
    body = good_request("interactor")
    with running_redis() as server:
        first = _replica(server, encoded)
        answer = first.answer(body)
        assert len(encoded) == 1
        second = _replica(server, encoded)
        assert second.answer(body) == answer
        assert encoded == []
        (entry,) = server.entries().values()
        assert load(entry).keys() == {"hw", "0"}, "safetensors, never a pickle"


def test_features_of_another_precision_are_not_taken(encoded: list[int]) -> None:
    body = good_request("interactor")
    with running_redis() as server:
        _replica(server, encoded).answer(body)
        _replica(server, encoded, PROMPTABLE_PRECISION="bf16").answer(body)
        assert len(encoded) == 1


def test_damaged_features_are_made_again(encoded: list[int], caplog: pytest.LogCaptureFixture) -> None:
    body = good_request("interactor")
    with running_redis() as server:
        answer = _replica(server, encoded).answer(body)
        server.overwrite(b"nonsense")
        assert _replica(server, encoded).answer(body) == answer
        assert len(encoded) == 1
    assert "features in Redis cannot be read" in caplog.text


def test_without_redis_it_goes_on(encoded: list[int], caplog: pytest.LogCaptureFixture) -> None:
    with running_redis() as server:
        function = _replica(server, encoded)
        expected = function.answer(good_request("interactor"))
        restarted = _replica(server, encoded)
        server.stop()
        assert restarted.answer(good_request("interactor")) == expected
        assert len(encoded) == 1
    assert "Redis failed" in caplog.text
