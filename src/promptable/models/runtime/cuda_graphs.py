"""Stages of a model as CUDA graphs: what a GPU has to do is told to it once, and started anew for each picture.

Otherwise Python names every kernel at every call, and a fast GPU waits for the next name. A graph is a list of kernels
and of the addresses that they read and write, so inputs are copied to where it reads and results from where it writes.
A stage must do the same for all inputs of one form, on the GPU alone: nothing of it may look at numbers.
"""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import torch
from cachetools import LRUCache
from torch import Tensor

_log = logging.getLogger(__name__)

Stage = Callable[..., tuple[Tensor, ...]]
"""Tensors of one GPU, and whatever else is a key of a dictionary by its name, to tensors there."""

_WARM_UPS = 3
"""Runs before a capture, as PyTorch's notes on CUDA graphs have them: in these, libraries choose their kernels, and
constants are made that stay."""
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 2e-2
"""Of the root mean square of differences to that of the numbers: the same kernels, but they may be chosen anew."""
_one_capture = Lock()
"""All that PyTorch allows a process at a time."""


class Graphs:
    """The graphs of one model's stages, if they are ``wanted`` and the device is a GPU."""

    def __init__(self, device: torch.device, wanted: bool) -> None:
        self._shared = _Shared(device) if wanted and device.type == "cuda" else None

    def stage(self, name: str, run: Stage, most: int, captured_at: int = 1) -> Stage:
        """``run``, from a graph where there is one for inputs of this form; threads may share it.

        It must be called in inference mode. The form is the shapes and types of tensors, all other arguments, and what
        autocast is set to. A graph is captured at the call of this number of one form; the ``most`` that were used last
        are kept. Where that fails, or a graph computes something else than ``run``, the stage is ``run`` alone from
        then on, with a line in the log that begins with its ``name``.
        """
        return run if self._shared is None else _GraphedStage(name, run, self._shared, most, captured_at)


class _GraphedStage:
    def __init__(self, name: str, run: Stage, shared: "_Shared", most: int, captured_at: int) -> None:
        self._name, self._run, self._shared = name, run, shared
        self._captured_at = captured_at
        self._calls: LRUCache[Hashable, int] = LRUCache(4 * most)
        self._graphs: LRUCache[Hashable, _Graph] = LRUCache(most)
        self._failed = False

    def __call__(self, *inputs: Tensor, **fixed: Hashable) -> tuple[Tensor, ...]:
        with self._shared.turn:
            graph = None if self._failed else self._graph(inputs, fixed)
            if graph is not None:
                return graph.replay(inputs)
        return self._run(*inputs, **fixed)

    def _graph(self, inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> "_Graph | None":
        """That of inputs of this form, if it was or is to be captured."""
        form = _form(inputs, fixed)
        if form not in self._graphs and self._is_due(form):
            try:
                self._graphs[form] = self._captured(inputs, fixed)
            except RuntimeError as error:
                self._give_up(error)
        return self._graphs.get(form)

    def _is_due(self, form: Hashable) -> bool:
        self._calls[form] = self._calls.get(form, 0) + 1
        return self._calls[form] >= self._captured_at

    def _captured(self, inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> "_Graph":
        """Compared with the stage itself on the inputs and on random ones. Raises RuntimeError."""
        run = partial(_without_kept_casts, self._run, **fixed)
        graph = self._shared.capture(run, inputs)
        for given in (inputs, [_another(each) for each in inputs]):
            if not all(map(_alike, graph.replay(given), run(*given))):
                raise RuntimeError("its graph computes something else than the stage itself")
        _log.info("%s: a CUDA graph for %s", self._name, [list(each.shape) for each in inputs])
        return graph

    def _give_up(self, error: RuntimeError) -> None:
        """With the memory of all its graphs."""
        self._failed = True
        self._graphs.clear()
        reason = str(_first(error)).partition("\n")[0]
        _log.warning("%s: no CUDA graphs, it goes on kernel by kernel: %s", self._name, reason)


class _Shared:
    """What the graphs of a model have in common: memory, in which a replay leaves nothing of what others wrote there;
    so they take turns. The turn's kernels are ordered by the current stream, which is the same for all threads."""

    def __init__(self, device: torch.device) -> None:
        self.turn = Lock()
        self._pool = torch.cuda.graph_pool_handle()
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def capture(self, run: Stage, inputs: Sequence[Tensor]) -> "_Graph":
        """Raises RuntimeError for what a graph cannot do, and where memory runs out."""
        held, here = [each.clone() for each in inputs], torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(here)
        # A failed capture leaves torch.cuda.graph's stream the current one, so there is another context around it.
        with _one_capture, torch.cuda.stream(self._stream):
            for _ in range(_WARM_UPS):
                run(*held)
            graph = torch.cuda.CUDAGraph()
            # Other threads may allocate and copy meanwhile.
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                results = run(*held)
        here.wait_stream(self._stream)
        return _Graph(graph, held, results)


@dataclass(frozen=True, eq=False)
class _Graph:
    """Reads ``held`` and writes ``results``."""

    graph: torch.cuda.CUDAGraph
    held: Sequence[Tensor]
    results: Sequence[Tensor]

    def replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The stage's results of these inputs, for the caller to keep."""
        for held, given in zip(self.held, inputs, strict=True):
            held.copy_(given)
        self.graph.replay()
        return tuple(result.clone() for result in self.results)


def _without_kept_casts(run: Stage, *inputs: Tensor, **fixed: Hashable) -> tuple[Tensor, ...]:
    """Under the autocast that is set, which keeps the weights it has cast until its context ends: a graph would go on
    to read them there."""
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    with torch.autocast("cuda", dtype, enabled, cache_enabled=False):
        return run(*inputs, **fixed)


def _first(error: BaseException) -> BaseException:
    """A lost capture fails once more when it ends."""
    return error if error.__context__ is None else _first(error.__context__)


def _form(inputs: Sequence[Tensor], fixed: Mapping[str, Hashable]) -> Hashable:
    numbers = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return tuple((each.shape, each.dtype) for each in inputs), tuple(sorted(fixed.items())), numbers


def _another(given: Tensor) -> Tensor:
    """Random numbers; indices and masks as they are."""
    return torch.randn_like(given) if given.is_floating_point() else given


def _alike(found: Tensor, expected: Tensor) -> bool:
    """Up to rounding. Infinity and NaN are alike, as random numbers may lead to them."""
    tolerance = _HALF_TOLERANCE if torch.is_autocast_enabled("cuda") else _TOLERANCE
    left, right = (each.double().nan_to_num(0.0, 0.0, 0.0) for each in (found, expected))
    return bool((left - right).norm() <= tolerance * right.norm())
