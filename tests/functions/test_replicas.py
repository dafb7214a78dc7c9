"""Functions that share a Redis can take turns, and whatever happens to it, an answer is never a wrong one."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from promptable.models.sam2.memory import Memory, MemoryFeatures
from promptable.serving.tracker.entries import MemoryEntry, PointerEntry
from promptable.store import circuit_breaker
from promptable.store.redis_server import connect
from tests.functions.conftest import TOY, Function
from tests.functions.requests import VIDEO, continuing, first_shapes, starting
from tests.redis_server import running_redis
from toy.redis_server import RedisServer

Answer = dict[str, Any]

FOREIGN: dict[str, MemoryEntry] = {
    "pointer": PointerEntry(bytes(16), Memory(0, True, torch.zeros(7), None)),
    "features": MemoryFeatures(torch.zeros(64, 12, 13).bfloat16()),
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


def replica(server: RedisServer) -> Function:
    return Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2")} | server.variables)


@pytest.fixture(scope="module")
def replicas(server: RedisServer) -> tuple[Function, Function]:
    return replica(server), replica(server)


@pytest.fixture
def cold(server: RedisServer) -> Function:
    """A replica that has nothing at hand."""
    return replica(server)


@pytest.fixture(scope="module")
def alone(tracker: Function) -> list[Answer]:
    """What one process without Redis answers on each frame."""
    answers = [tracker.answer(starting(first_shapes("mask")))]
    for frame in range(1, len(VIDEO)):
        answers.append(tracker.answer(continuing(answers[-1]["states"], frame)))
    return answers


def test_replicas_that_take_turns_answer_as_one_process(
    replicas: tuple[Function, Function], alone: list[Answer]
) -> None:
    states = replicas[0].answer(starting(first_shapes("mask")))["states"]
    for frame in range(1, len(VIDEO)):
        answer = replicas[frame % 2].answer(continuing(states, frame))
        assert answer["shapes"] == alone[frame]["shapes"]
        states = answer["states"]


def test_tracking_goes_on_while_redis_is_away_and_is_shared_again_afterwards(
    server: RedisServer,
    replicas: tuple[Function, Function],
    alone: list[Answer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    first, second = replicas
    states = first.answer(starting(first_shapes("mask")))["states"]
    states = first.answer(continuing(states, 1))["states"]
    server.stop()
    away = first.answer(continuing(states, 2))
    refused = second.post(continuing(states, 2))
    server.start()
    assert away["shapes"] == alone[2]["shapes"]
    assert refused.status_code == 503
    assert "try again" in refused.body
    now[0] += 31
    back = first.answer(continuing(away["states"], 3))
    taken_over = second.answer(continuing(back["states"], 4))
    assert [back["shapes"], taken_over["shapes"]] == [alone[3]["shapes"], alone[4]["shapes"]]


def test_evicted_entries_are_an_expired_state(server: RedisServer, cold: Function) -> None:
    states = replica(server).answer(starting(first_shapes("mask")))["states"]
    connect("127.0.0.1", server.port).client.flushall()
    response = cold.post(continuing(states, 1))
    assert response.status_code == 410
    assert "expired, start tracking again" in response.body


def test_only_what_a_step_needs_is_asked_for(server: RedisServer, cold: Function) -> None:
    """Of a memory that is 7 steps old only the pointer is: its features may be gone."""
    writer = replica(server)
    states = writer.answer(starting(first_shapes("mask")[:1]))["states"]
    for frame in range(1, 12):
        states = writer.answer(continuing(states, frame))["states"]
    named = states[0]["memories"]
    client = connect("127.0.0.1", server.port).client
    for name, *_ in named[1:6]:
        assert client.delete(f"promptable:memory:{states[0]['model']}:{name}:features")
    assert cold.answer(continuing(states, 12)) is not None
    client.delete(f"promptable:memory:{states[0]['model']}:{named[6][0]}:features")
    assert replica(server).post(continuing(states, 12)).status_code == 410


@pytest.mark.parametrize("part", ["pointer", "features"])
@pytest.mark.parametrize(
    "forged",
    ["garbage", "cut", "zeros", "not finite", "another part", "another object's", "another step's", "another model's"],
)
def test_forged_entries_are_refused(server: RedisServer, cold: Function, part: str, forged: str) -> None:
    """Whatever lies in Redis in the place of an entry is no answer: neither a mask nor a lost object."""
    writer = replica(server)
    states = writer.answer(starting(first_shapes("mask")[:2]))["states"]
    state, other = writer.answer(continuing(states, 1))["states"]

    def key(names: list[Any], position: int = -1, kind: str = part) -> str:
        return f"promptable:memory:{state['model']}:{names[position][0]}:{kind}"

    client = connect("127.0.0.1", server.port).client
    target = key(state["memories"])
    value: Any = client.get(target)
    values = {
        "garbage": b"garbage",
        "cut": value[:-2],
        "zeros": value[:-400] + bytes(400),
        "not finite": value[:-400] + b"\xff" * 400,
        "another part": client.get(key(state["memories"], kind="features" if part == "pointer" else "pointer")),
        "another object's": client.get(key(other["memories"])),
        "another step's": client.get(key(state["memories"], 0)),
        "another model's": FOREIGN[part].to_bytes(),
    }
    client.set(target, values[forged])
    response = cold.post(continuing([state], 2))
    assert response.status_code == 400
    assert "damaged" in response.body


@pytest.mark.parametrize("part", ["pointer", "features"])
@pytest.mark.parametrize("forged", ["garbage", "not finite", "another part", "another model's"])
def test_forged_entries_are_refused_even_if_their_digest_fits(
    server: RedisServer, cold: Function, part: str, forged: str
) -> None:
    """As one who writes to Redis could make them; they are refused again the next time, and the others are still read.

    A pointer keeps the digest of the list of names, so that only what follows it is wrong.
    """
    states = replica(server).answer(starting(first_shapes("mask")[:2]))["states"]
    name = f"{states[0]['model']}:{states[0]['memories'][-1][0]}"
    client = connect("127.0.0.1", server.port).client
    values: Any = {kind: client.get(f"promptable:memory:{name}:{kind}") for kind in FOREIGN}
    known = values["pointer"][32:48] if part == "pointer" else b""
    data = {
        "garbage": known + b"garbage",
        "not finite": values[part][32:-400] + b"\xff" * 400,
        "another part": known + values["features" if part == "pointer" else "pointer"][32:],
        "another model's": known + FOREIGN[part].to_bytes()[len(known) :],
    }[forged]
    client.set(f"promptable:memory:{name}:{part}", _signed(f"{name}:{part}", data))
    for _ in range(2):
        response = cold.post(continuing(states, 1))
        assert response.status_code == 400
        assert "a memory is damaged" in response.body
    assert cold.answer(continuing(states[1:], 1)) is not None


def _signed(key: str, data: bytes) -> bytes:
    """A value as ``RedisStore`` writes it."""
    return hashlib.sha256(key.encode() + b"\n" + data).digest() + data
