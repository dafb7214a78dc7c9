"""Clicks may land on any replica: each goes on from what another has answered, and never from what is forged."""

import numpy as np
import pytest
from safetensors.numpy import save

from promptable.models.segmentation.segmenter import Prompt
from promptable.serving.interactor.click_history import ClickHistory, SharedHistory
from promptable.store.redis_cache import RedisCache
from promptable.store.redis_server import connect
from toy.redis_server import RedisServer

LOGITS = np.full((4, 5), 1.5, np.float32)
FIRST = Prompt(np.ones((1, 2), np.float32), np.ones(1, np.int32))
SECOND = Prompt(np.array([[1, 1], [2, 2]], np.float32), np.array([1, 0], np.int32))
THIRD = Prompt(np.array([[1, 1], [3, 3], [2, 2]], np.float32), np.array([1, 1, 0], np.int32))


def _replica(server: RedisServer) -> ClickHistory:
    cache = RedisCache(connect("127.0.0.1", server.port), "test:", 100)
    return ClickHistory(SharedHistory(cache, (4, 5)))


def test_a_click_goes_on_from_another_replicas_answer(server: RedisServer) -> None:
    _replica(server).remember("picture", FIRST, LOGITS)
    np.testing.assert_array_equal(_replica(server).with_mask_input("picture", SECOND).mask_input, LOGITS)
    np.testing.assert_array_equal(_replica(server).with_mask_input("picture", THIRD).mask_input, LOGITS)
    assert _replica(server).with_mask_input("other", SECOND).mask_input is None


def test_a_longer_prompt_of_another_replica_counts_more_than_a_shorter_local_one(server: RedisServer) -> None:
    here, there = _replica(server), _replica(server)
    here.remember("picture", FIRST, LOGITS)
    there.remember("picture", there.with_mask_input("picture", SECOND), 2 * LOGITS)
    np.testing.assert_array_equal(here.with_mask_input("picture", THIRD).mask_input, 2 * LOGITS)


def test_the_same_prompt_starts_where_it_started_on_the_other_replica(server: RedisServer) -> None:
    first, second = _replica(server), _replica(server)
    first.remember("picture", FIRST, LOGITS)
    first.remember("picture", first.with_mask_input("picture", SECOND), 2 * LOGITS)
    np.testing.assert_array_equal(second.with_mask_input("picture", SECOND).mask_input, LOGITS)


def test_the_first_answer_is_kept_in_redis_too(server: RedisServer) -> None:
    one, other = _replica(server), _replica(server)
    continued = other.with_mask_input("picture", FIRST)
    one.remember("picture", FIRST, LOGITS)
    other.remember("picture", continued, 2 * LOGITS)
    np.testing.assert_array_equal(_replica(server).with_mask_input("picture", SECOND).mask_input, LOGITS)


FORGED = {
    "garbage": b"garbage",
    "no logits": save({"mask_input": LOGITS}),
    "a tensor more": save({"logits": LOGITS, "mask_input": LOGITS, "more": LOGITS}),
    "another shape": save({"logits": LOGITS.T.copy()}),
    "another type": save({"logits": LOGITS.astype(np.float64)}),
    "NaN": save({"logits": LOGITS * np.float32(np.nan)}),
    "a mask input of Infinity": save({"logits": LOGITS, "mask_input": LOGITS * np.float32(np.inf)}),
    "a mask input of another shape": save({"logits": LOGITS, "mask_input": LOGITS[:1].copy()}),
}


@pytest.mark.parametrize("value", FORGED.values(), ids=FORGED.keys())
def test_forged_answers_are_not_gone_on_from(
    server: RedisServer, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    _replica(server).remember("picture", FIRST, LOGITS)
    server.overwrite(value)
    assert _replica(server).with_mask_input("picture", SECOND).mask_input is None
    assert "a click in Redis cannot be read" in caplog.text
    _replica(server).remember("picture", FIRST, LOGITS)
    np.testing.assert_array_equal(_replica(server).with_mask_input("picture", SECOND).mask_input, LOGITS)


def test_without_redis_a_click_goes_on_from_its_own(server: RedisServer) -> None:
    here = _replica(server)
    server.stop()
    here.remember("picture", FIRST, LOGITS)
    np.testing.assert_array_equal(here.with_mask_input("picture", SECOND).mask_input, LOGITS)
