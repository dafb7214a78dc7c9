"""Stages replayed from (simulated) CUDA graphs answer what they answer without, whatever goes wrong."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Barrier, BrokenBarrierError
from weakref import ref

import pytest
import torch
from torch import Tensor, nn

from promptable.models.runtime import cuda_graphs
from promptable.models.runtime.cuda_graphs import Graphs, Stage
from promptable.models.runtime.precision import autocast
from tests import simulated_graphs
from tests.simulated_cuda import simulated_cuda

CUDA = torch.device("cuda")
DEFAULT_STREAM = simulated_graphs.current_stream()


@pytest.fixture(autouse=True)
def _cuda(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    with simulated_cuda(), torch.inference_mode():
        yield


class Network:
    """A stage that counts how often Python runs it."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.layer = nn.Linear(2, 2).to(CUDA)
        self.runs = 0

    def __call__(self, numbers: Tensor, times: int = 1) -> tuple[Tensor, ...]:
        self.runs += 1
        for _ in range(times):
            numbers = self.layer(numbers).relu()
        return numbers, numbers.sum(-1)


@pytest.fixture
def network() -> Network:
    return Network()


def _staged(run: Stage, most: int = 4, captured_at: int = 1) -> Stage:
    return Graphs(CUDA, wanted=True).stage("the stage", run, most, captured_at)


def _numbers(*rows: int) -> Tensor:
    return torch.rand(*rows, 2, generator=torch.Generator().manual_seed(sum(rows))).to(CUDA)


def _assert_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for each in zip(found, expected, strict=True):
        torch.testing.assert_close(*(tensor.cpu() for tensor in each))


def test_a_graph_answers_what_the_stage_answers(network: Network) -> None:
    staged = _staged(network)
    staged(_numbers(3))
    runs = network.runs
    answers = [staged(_numbers(3) + more) for more in range(3)]  # later ones leave earlier ones alone
    assert network.runs == runs
    for more, answer in enumerate(answers):
        _assert_same(answer, network(_numbers(3) + more))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_each_precision_has_a_graph_of_its_own(network: Network, precision: str) -> None:
    """Which does not read the weights that an autocast of long ago has cast."""
    staged = _staged(network)
    for _ in range(2):
        with autocast("cuda", precision):
            half = staged(_numbers(3))
            _assert_same(half, network(_numbers(3)))
        full = staged(_numbers(3))
        _assert_same(full, network(_numbers(3)))
        assert half[0].dtype != full[0].dtype


def test_each_form_has_a_graph_of_its_own(network: Network) -> None:
    staged = _staged(network)
    forms = [(_numbers(3), 1), (_numbers(4), 1), (_numbers(3), 2), (_numbers(1, 3), 2)]
    for _ in range(2):
        for numbers, times in forms:
            _assert_same(staged(numbers, times=times), network(numbers, times))


@dataclass(frozen=True)
class Factor:
    """Equal to all of the same name."""

    name: str
    value: Tensor = field(compare=False)


def test_what_an_argument_holds_lives_as_long_as_the_graph(network: Network) -> None:
    staged = _staged(lambda numbers, factor: (numbers * factor.value,))
    for _ in range(3):
        (found,) = staged(_numbers(3), factor=Factor("three", torch.full((1,), 3.0).to(CUDA)))
        torch.testing.assert_close(found.cpu(), 3 * _numbers(3).cpu())


def test_what_an_argument_holds_is_freed_where_no_graph_reads_it() -> None:
    """A detector's layouts take tens of megabytes for each size of picture, of which most have no graph."""
    staged = _staged(lambda numbers, factor: (numbers * factor.value,), captured_at=2)
    factor = Factor("three", torch.full((1,), 3.0).to(CUDA))
    held = ref(factor)
    staged(_numbers(3), factor=factor)
    del factor
    assert held() is None


def test_graphs_in_use_are_kept(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that take turns would otherwise be captured at every call."""
    monkeypatch.setattr(cuda_graphs, "_IN_USE", 3)
    staged = _staged(network, most=2)

    def captured(rows: int) -> bool:
        before = network.runs
        staged(_numbers(rows))
        return network.runs > before + 1

    assert [captured(rows) for rows in (1, 2, 3, 1, 2, 3)] == [True, True, False, False, False, False]
    assert [captured(rows) for rows in (2, 3, 3, 1)] == [False, True, False, False]  # three takes the place of one


def test_a_form_that_may_not_come_again_is_not_captured(network: Network) -> None:
    staged = _staged(network, captured_at=2)
    for rows, runs in ((1, 1), (2, 1), (1, 6), (1, 0), (2, 6)):  # three warm-ups, one capture, two comparisons
        before = network.runs
        _assert_same(staged(_numbers(rows)), Network()(_numbers(rows)))
        assert network.runs - before == runs


def test_off_or_on_a_cpu_there_are_none(network: Network) -> None:
    assert Graphs(CUDA, wanted=False).stage("the stage", network, 4) is network
    assert Graphs(torch.device("cpu"), wanted=True).stage("the stage", network, 4) is network


def test_stages_that_share_memory_leave_one_another_alone(network: Network) -> None:
    graphs = Graphs(CUDA, wanted=True)
    one, other = (graphs.stage(name, network, 4) for name in ("one", "other"))
    first = one(_numbers(3))
    second = other(first[0])
    again = one(_numbers(3))
    _assert_same(first, network(_numbers(3)))
    _assert_same(second, network(first[0]))
    _assert_same(again, first)


def test_threads_take_turns(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two would wait for the other between the copy of its input and the replay, if it could get there."""
    staged = _staged(network)
    staged(_numbers(3))
    both, replay = Barrier(2), simulated_graphs.Graph.replay

    def together(graph: simulated_graphs.Graph) -> None:
        with suppress(BrokenBarrierError):
            both.wait(timeout=0.2)
        replay(graph)

    monkeypatch.setattr(simulated_graphs.Graph, "replay", together)
    asked = [_numbers(3), _numbers(3) + 1]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(torch.inference_mode()(staged), asked))
    for numbers, answer in zip(asked, answers, strict=True):
        _assert_same(answer, network(numbers))


def _reads(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers * float(numbers.sum()),)


def _brings(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers + torch.tensor([1.0, 2.0], device=numbers.device),)


def _chooses(numbers: Tensor) -> tuple[Tensor, ...]:
    return (numbers[numbers[:, 0] > 0.5].sum(0),)


def _is_warming_up() -> bool:
    """Or capturing."""
    return torch.cuda.current_stream() is not DEFAULT_STREAM


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (_reads, "not permitted when stream is capturing: aten::_local_scalar_dense at"),
        (_brings, "not permitted when stream is capturing: aten::_to_copy at"),
        (_chooses, "not permitted when stream is capturing: aten::index, a mask at"),
    ],
)
def test_a_stage_that_cannot_be_captured_goes_on_without(
    run: Stage, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = Graphs(CUDA, wanted=True)
    staged, later = (graphs.stage(name, each, 4) for name, each in (("the stage", run), ("a later one", Network())))
    for rows in (3, 3, 4):
        _assert_same(staged(_numbers(rows)), run(_numbers(rows)))
    assert torch.cuda.current_stream() is DEFAULT_STREAM
    later(_numbers(3))  # in the same memory
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("the stage: no CUDA graphs, it goes on kernel by kernel:")
    assert reason in warning


def test_a_lack_of_memory_puts_a_capture_off(
    network: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs neither the graphs that are there nor, again and again, the time of another try."""
    monkeypatch.setattr(cuda_graphs, "_PAUSE", 3)
    calls, tries, is_full = 0, [], False

    def run(numbers: Tensor) -> tuple[Tensor, ...]:
        if is_full and _is_warming_up():
            tries.append(calls)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB\nof 2")
        return network(numbers)

    staged = _staged(run)
    staged(_numbers(4))
    is_full = True
    for calls in range(13):  # noqa: B007 - ``run`` notes it
        _assert_same(staged(_numbers(3)), Network()(_numbers(3)))
    assert tries == [0, 4, 11]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        f"the stage: no memory for another CUDA graph, the next try is in {calls} calls:"
        " CUDA out of memory. Tried to allocate 3 GiB"
        for calls in (3, 6, 12)
    ]
    runs = network.runs
    staged(_numbers(4))
    assert network.runs == runs
    is_full = False
    for _ in range(20):
        staged(_numbers(3))
    runs = network.runs
    _assert_same(staged(_numbers(3)), Network()(_numbers(3)))
    assert network.runs == runs


def test_a_graph_of_the_first_picture_alone_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """It answers that one as the stage does, and all others with it."""
    first: list[Tensor] = []

    def run(numbers: Tensor) -> tuple[Tensor, ...]:
        if _is_warming_up():
            first.append(numbers * 2)
        return (first[0] if _is_warming_up() else numbers * 2,)

    staged = _staged(run)
    for more in range(3):
        _assert_same(staged(_numbers(3) + more), run(_numbers(3) + more))
    assert caplog.text.count("it goes on kernel by kernel: its graph computes something else") == 1


def test_a_graph_of_the_first_call_alone_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def run(numbers: Tensor) -> tuple[Tensor, ...]:
        calls.append(1)
        return (numbers + len(calls),)

    staged = _staged(run)
    for _ in range(3):
        _assert_same(staged(_numbers(3)), (_numbers(3) + len(calls),))
    assert caplog.text.count("it goes on kernel by kernel: its graph computes something else") == 1


def test_infinity_and_nan_are_alike(caplog: pytest.LogCaptureFixture) -> None:
    staged = _staged(lambda numbers: (numbers / 0, numbers.sqrt().log()))
    staged(_numbers(3))
    assert "no CUDA graphs" not in caplog.text
