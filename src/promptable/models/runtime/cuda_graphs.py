"""Stages of a model as CUDA graphs: the kernels of a stage are recorded once and replayed for each picture.

Without a graph, Python launches every kernel at every call, and a fast GPU waits for the next launch. A graph records
kernels together with the addresses that they read and write. So a replay copies the inputs to the addresses that the
graph reads, and the results from the addresses that it writes. A stage must run the same kernels for all inputs of one
form, and only on the GPU: its Python code must not depend on the values in tensors.
"""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock

import torch
from cachetools import LRUCache
from torch import Tensor

from promptable.models.runtime.out_of_memory import means_out_of_memory

_log = logging.getLogger(__name__)

Stage = Callable[..., tuple[Tensor, ...]]
"""A function of tensors on one GPU, and of hashable keyword arguments, that returns tensors on the same GPU. Equal
arguments hold equal tensors, if any. What else it reads must live as long as the stage: a graph reads where it was."""

_WARM_UPS = 3
"""Runs before a capture, as in PyTorch's notes on CUDA graphs: in these runs libraries choose their kernels, and
constants that are kept are computed."""
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 2e-2
"""The largest accepted ratio of the root mean square of the differences to that of the values. Results can differ by
rounding, because libraries may choose other kernels for the graph."""
_IN_USE = 200
"""A graph that was used in the last so many calls of its stage is kept, whatever else is called: a capture takes as
long as tens of calls."""
_PAUSE = 200
"""For so many calls a stage captures nothing after memory ran out in a capture, and twice as many after each further
time: so all the captures that fail take little of its time, and one succeeds some time after memory is free again."""
_one_capture = Lock()
"""PyTorch allows only one capture at a time in a process."""


class Graphs:
    """The CUDA graphs of one model's stages. Without ``wanted``, or on another device than a GPU, there are none."""

    def __init__(self, device: torch.device, wanted: bool) -> None:
        self._shared = _Shared(device) if wanted and device.type == "cuda" else None

    def stage(self, name: str, run: Stage, most: int, captured_at: int = 1) -> Stage:
        """A stage that computes the same as ``run``, by a graph if there is one for inputs of this form.

        Call it in inference mode; threads may share it. The form of inputs is the shapes and dtypes of the tensors, all
        other arguments, and the state of autocast. A graph is captured at call number ``captured_at`` with one form.
        The stage keeps up to ``most`` graphs; a further form waits until one of them is out of use. If memory runs out
        in a capture, the stage captures nothing for a while. If a capture fails otherwise, or a graph computes
        something else than ``run``, the stage calls only ``run`` from then on. Either logs a warning that begins with
        ``name``.
        """
        return run if self._shared is None else _GraphedStage(name, run, self._shared, most, captured_at)


class _GraphedStage:
    def __init__(self, name: str, run: Stage, shared: "_Shared", most: int, captured_at: int) -> None:
        self._name, self._run, self._shared = name, run, shared
        self._most, self._captured_at = most, captured_at
        self._call = 0
        self._calls: LRUCache[int, int] = LRUCache(4 * most)
        self._graphs: dict[Hashable, _Graph] = {}
        self._last_calls: dict[Hashable, int] = {}
        self._failed = False
        self._pause, self._paused_until = _PAUSE, 0

    def __call__(self, *inputs: Tensor, **fixed: Hashable) -> tuple[Tensor, ...]:
        with self._shared.turn:
            graph = None if self._failed else self._graph(inputs, fixed)
            if graph is not None:
                return graph.replay(inputs)
        return self._run(*inputs, **fixed)

    def _graph(self, inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> "_Graph | None":
        """The graph for inputs of this form, captured now if it is due; None if there is none."""
        form = _form(inputs, fixed)
        self._call += 1
        if form not in self._graphs and self._is_due(form) and self._has_room():
            try:
                self._graphs[form] = self._captured(inputs, fixed)
            except RuntimeError as error:
                if means_out_of_memory(_first(error)):
                    self._put_off(error)
                else:
                    self._give_up(error)
        graph = self._graphs.get(form)
        if graph is not None:
            self._last_calls[form] = self._call
        return graph

    def _is_due(self, form: Hashable) -> bool:
        """Whether a graph for this form is to be captured now.

        Forms are counted by their hashes, since a form keeps the tensors in its arguments alive. Two forms of one hash
        would only be captured earlier.
        """
        key = hash(form)
        self._calls[key] = self._calls.get(key, 0) + 1
        return self._calls[key] >= self._captured_at and self._call > self._paused_until

    def _has_room(self) -> bool:
        """Whether a graph can be added; the one out of use for longest is then dropped, if there are too many."""
        if len(self._graphs) < self._most:
            return True
        oldest = min(self._graphs, key=self._last_calls.__getitem__)
        if self._call - self._last_calls[oldest] <= _IN_USE:
            return False
        del self._graphs[oldest], self._last_calls[oldest]
        return True

    def _captured(self, inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> "_Graph":
        """Capture a graph, and compare it with ``run`` on these inputs and on random ones.

        Raises RuntimeError if the capture fails or the results differ.
        """
        run = partial(_without_kept_casts, self._run)
        graph = self._shared.capture(run, inputs, fixed)
        for given in (inputs, [_another(each) for each in inputs]):
            if not all(map(_alike, graph.replay(given), run(*given, **fixed))):
                raise RuntimeError("its graph computes something else than the stage itself")
        _log.info("%s: a CUDA graph for %s", self._name, [list(each.shape) for each in inputs])
        return graph

    def _put_off(self, error: RuntimeError) -> None:
        """Capture nothing for a while."""
        pause, self._paused_until, self._pause = self._pause, self._call + self._pause, 2 * self._pause
        reason = str(_first(error)).partition("\n")[0]
        _log.warning("%s: no memory for another CUDA graph, the next try is in %d calls: %s", self._name, pause, reason)

    def _give_up(self, error: RuntimeError) -> None:
        """Use no graphs in this stage any more, and free the memory of those that it has."""
        self._failed = True
        self._graphs.clear()
        reason = str(_first(error)).partition("\n")[0]
        _log.warning("%s: no CUDA graphs, it goes on kernel by kernel: %s", self._name, reason)


class _Shared:
    """What the graphs of one model share: a memory pool and a lock.

    A replay overwrites what other graphs wrote in the pool, so only the thread that holds ``turn`` may replay. The
    current stream, which is the same for all threads, runs the kernels of successive replays in order.
    """

    def __init__(self, device: torch.device) -> None:
        self.turn = Lock()
        self._pool = torch.cuda.graph_pool_handle()
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def capture(self, run: Stage, inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> "_Graph":
        """Capture ``run`` as a graph. Raises RuntimeError if ``run`` cannot be captured, or if memory runs out."""
        held, here = [each.clone() for each in inputs], torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(here)
        # After a failed capture the stream of torch.cuda.graph stays the current one; the outer context restores ours.
        with _one_capture, torch.cuda.stream(self._stream):
            for _ in range(_WARM_UPS):
                run(*held, **fixed)
            graph = torch.cuda.CUDAGraph()
            # Other threads may allocate and copy meanwhile.
            with (
                self._ended_after_an_error(),
                torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
            ):
                results = run(*held, **fixed)
        here.wait_stream(self._stream)
        return _Graph(graph, held, fixed, results)

    @contextmanager
    def _ended_after_an_error(self) -> Iterator[None]:
        """After an error in a capture, PyTorch's allocators take it to go on, and the one of GPU memory frees no cached
        memory any more. That one can be told; the one of pinned memory cannot, so the next graph gets another pool."""
        try:
            yield
        except RuntimeError:
            with suppress(RuntimeError):  # some errors come before the capture, or after its end
                torch._C._cuda_endAllocateToPool(self._stream.device_index, self._pool)
            self._pool = torch.cuda.graph_pool_handle()
            raise


@dataclass(frozen=True, eq=False)
class _Graph:
    """A captured graph, which reads its inputs from ``held`` and writes its results to ``results``. It also reads the
    tensors in ``fixed``, its keyword arguments."""

    graph: torch.cuda.CUDAGraph
    held: Sequence[Tensor]
    fixed: Mapping[str, Hashable]
    results: Sequence[Tensor]

    def replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The stage's results for these inputs, as copies that later replays do not overwrite."""
        for held, given in zip(self.held, inputs, strict=True):
            held.copy_(given)
        self.graph.replay()
        return tuple(result.clone() for result in self.results)


def _without_kept_casts(run: Stage, *inputs: Tensor, **fixed: Hashable) -> tuple[Tensor, ...]:
    """Call ``run`` under the current autocast, but without its cache of cast weights.

    Autocast frees cached weights when its context ends, and a graph would continue to read them there.
    """
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    with torch.autocast("cuda", dtype, enabled, cache_enabled=False):
        return run(*inputs, **fixed)


def _first(error: BaseException) -> BaseException:
    """The error that came first: a capture that failed raises a second error when it ends."""
    return error if error.__context__ is None else _first(error.__context__)


def _form(inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> Hashable:
    numbers = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return tuple((each.shape, each.dtype) for each in inputs), tuple(sorted(fixed.items())), numbers


def _another(given: Tensor) -> Tensor:
    """Random numbers of the same shape for a floating-point tensor; indices and masks unchanged.

    The CPU draws them: after an error in a capture, a GPU's own generator refuses to.
    """
    return torch.randn(given.shape).to(given) if given.is_floating_point() else given


def _alike(found: Tensor, expected: Tensor) -> bool:
    """Whether two results are equal up to rounding. NaN and Infinity, which random inputs may cause, count as 0."""
    tolerance = _HALF_TOLERANCE if torch.is_autocast_enabled("cuda") else _TOLERANCE
    left, right = (each.double().nan_to_num(0.0, 0.0, 0.0) for each in (found, expected))
    return bool((left - right).norm() <= tolerance * right.norm())
