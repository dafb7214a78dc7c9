"""The simulated CUDA graphs obey the rules of real ones: what a real capture would refuse or spoil fails here."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.simulated_cuda import simulated_cuda


@pytest.fixture(autouse=True)
def _cuda() -> Iterator[None]:
    with simulated_cuda(), torch.no_grad():
        yield


def _numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device="cuda")


def _captured(run: Callable[[], Tensor], pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        result = run()
    return graph, result


def test_a_replay_reads_and_writes_the_same_memory() -> None:
    given = _numbers(1, 2)
    graph, result = _captured(lambda: (given.view(2, 1) * 10 + torch.tensor(0.5)).flatten())
    assert result.isnan().all()  # a capture computes nothing
    graph.replay()
    first = result
    assert first.tolist() == [10.5, 20.5]
    given.copy_(_numbers(3, 4))
    graph.replay()
    assert first.tolist() == [30.5, 40.5]


def test_what_was_there_before_is_changed_by_the_replay_alone() -> None:
    total = _numbers(1)
    graph, _ = _captured(lambda: total.add_(1))
    assert total.tolist() == [1]
    graph.replay()
    graph.replay()
    assert total.tolist() == [3]


REFUSED: dict[str, Callable[[Tensor], object]] = {
    "a number is read": lambda numbers: numbers.sum().item(),
    "a branch": lambda numbers: 1 if numbers.any() else 0,
    "to the CPU": lambda numbers: numbers.cpu(),
    "from the CPU": lambda numbers: numbers + torch.tensor([1.0, 2.0], device="cuda"),
    "a size that hangs on numbers": lambda numbers: numbers[numbers > 0],
    "waited for": lambda _: torch.cuda.synchronize(),
    "another stream": lambda _: torch.cuda.current_stream().wait_stream(torch.cuda.Stream()),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_capture_cannot_do_loses_it(what: str) -> None:
    given = _numbers(1, 2)

    def run() -> Tensor:
        with suppress(RuntimeError):
            REFUSED[what](given)
        return given

    with torch.cuda.stream(torch.cuda.current_stream()), pytest.raises(RuntimeError, match="previous error"):
        _captured(run)
    assert given.tolist() == [1, 2]


def test_the_stream_of_all_else_is_not_captured() -> None:
    with pytest.raises(RuntimeError, match="non-default stream"):
        torch.cuda.CUDAGraph().capture_begin()


def test_after_a_lost_capture_its_stream_stays_the_current_one() -> None:
    """As with PyTorch's own, whose context does not clean up then."""
    before = torch.cuda.current_stream()
    with torch.cuda.stream(before):
        with pytest.raises(RuntimeError, match="previous error"):
            _captured(lambda: _numbers(1))
        assert torch.cuda.current_stream() is not before
    assert torch.cuda.current_stream() is before


def test_a_graph_keeps_nothing_alive_that_was_there_before() -> None:
    given = _numbers(1, 2)
    cast = [given.half()]
    graph, _ = _captured(lambda: given * cast[0])
    graph.replay()
    cast.clear()
    with pytest.raises(RuntimeError, match="illegal memory access"):
        graph.replay()


def test_graphs_of_one_pool_spoil_what_others_left() -> None:
    pool = torch.cuda.graph_pool_handle()
    given = _numbers(1, 2)
    one, first = _captured(lambda: given + 1, pool)
    other, second = _captured(lambda: given + 2, pool)
    one.replay()
    assert first.tolist() == [2, 3]
    other.replay()
    assert second.tolist() == [3, 4]
    assert first.isnan().all()
