"""Streams and CUDA graphs of the simulated device, with the signatures of PyTorch's own, for ``torch.cuda.graph``.

A capture computes, so that sizes are known, but what it computed is taken back: tensors from before it hold what they
held, those that were made in it hold NaN. ``replay`` runs the operations again on the same memory, and writes there.

- What a capture cannot do is refused, and the capture is lost: to wait, to copy from or to the CPU, to be on the
  stream that all else is on.
- A graph keeps no tensor from before its capture alive; it is an error if it reads one that was freed.
- Graphs of one pool share memory: a replay destroys whatever another one left.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakSet

import torch
from torch import Tensor, UntypedStorage
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

_DEVICE = torch.device("cuda:0")
_GARBAGE = 255
"""In every byte it is NaN for floating point, -1 for integers."""


class Stream:
    """``capture`` is the graph that is being captured on it."""

    device_index = 0

    def __init__(self, device: object = None, priority: int = 0) -> None:
        self.device = _DEVICE
        self.capture: Graph | None = None

    def synchronize(self) -> None:
        """The device that this is a part of says how."""

    def wait_stream(self, stream: "Stream") -> None:
        """Everything is done at once."""
        for each in (self, stream):
            if each.capture is not None:
                each.capture.refuse("another stream is waited for")


_DEFAULT = Stream()
_current = threading.local()


def current_stream(device: object = None) -> Stream:
    """This thread's."""
    found: Stream = getattr(_current, "stream", _DEFAULT)
    return found


class StreamContext:
    """Inside, the stream is the current one of this thread."""

    def __init__(self, chosen: Stream) -> None:
        self._chosen, self._before = chosen, _DEFAULT

    def __enter__(self) -> None:
        self._before = current_stream()
        _current.stream = self._chosen

    def __exit__(self, *_: object) -> None:
        _current.stream = self._before


def capturing() -> "Graph | None":
    """The graph that is being captured in this thread."""
    return current_stream().capture


class Pool:
    """Memory that graphs share.

    After an error in a capture, the allocators take it to go on: that of the device until it is told, that of pinned
    memory for good.
    """

    unfinished: ClassVar[set["Pool"]] = set()
    """Those of which the device's allocator takes a capture to go on."""

    def __init__(self) -> None:
        self.graphs: WeakSet[Graph] = WeakSet()
        self.is_recorded_to = False


def end_allocate_to_pool(device: int, pool: Pool) -> None:
    """Stands in for ``torch._C._cuda_endAllocateToPool``."""
    if pool not in Pool.unfinished:
        raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
    Pool.unfinished.discard(pool)


def empty_cache() -> None:
    """Stands in for ``torch.cuda.empty_cache``."""
    if Pool.unfinished:
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")


@dataclass(frozen=True)
class _Outside:
    """A tensor from before the capture: the graph knows where it lies, and does not keep it."""

    storage: StorageWeakRef
    dtype: torch.dtype
    form: tuple[Any, ...]

    def tensor(self) -> Tensor:
        storage = UntypedStorage._new_with_weak_ptr(self.storage.cdata)
        if storage is None:
            raise RuntimeError("an illegal memory access was encountered: a graph reads what was freed")
        return torch.empty(0, dtype=self.dtype).set_(storage, *self.form)


@dataclass(frozen=True)
class _Step:
    compute: Callable[..., Any]
    args: Any
    kwargs: Any
    results: Any

    def run(self) -> None:
        """What comes of it gets to where it was before."""
        results = self.compute(*tree_map(_found, self.args), **tree_map(_found, self.kwargs))
        for held, result in zip(tree_leaves(self.results), tree_leaves(results), strict=True):
            if held is not None:
                held.copy_(result)


@dataclass(eq=False)
class Graph:
    """Stands in for ``torch.cuda.CUDAGraph``."""

    keep_graph: bool = False
    shares: Pool = field(default_factory=Pool)
    _steps: list[_Step] = field(default_factory=list)
    _own: dict[int, UntypedStorage] = field(default_factory=dict)
    _before: dict[int, tuple[UntypedStorage, UntypedStorage]] = field(default_factory=dict)
    _is_spoilt: bool = False
    _lost: str = ""

    def capture_begin(self, pool: Pool | None = None, capture_error_mode: str = "global") -> None:
        """On the current stream."""
        where = current_stream()
        if where is _DEFAULT:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream")
        assert capture_error_mode in ("global", "thread_local", "relaxed")
        self.shares = pool or Pool()
        if self.shares.is_recorded_to:
            raise RuntimeError("beginAllocateToPool: already recording to mempool_id")
        self.shares.is_recorded_to = True
        Pool.unfinished.add(self.shares)
        self.shares.graphs.add(self)
        where.capture = self

    def capture_end(self) -> None:
        """Raises RuntimeError where something was refused before."""
        current_stream().capture = None
        with _disable_current_modes():
            for storage, content in self._before.values():
                storage.copy_(content)
        self._before.clear()
        self._spoil()
        if self._lost:
            raise RuntimeError(f"operation failed due to a previous error during capture: {self._lost}")
        end_allocate_to_pool(0, self.shares)
        self.shares.is_recorded_to = False

    def replay(self) -> None:
        """As all that runs."""
        for other in self.shares.graphs:
            if other is not self:
                other._spoil()
        with _disable_current_modes():
            for step in self._steps:
                step.run()
        self._is_spoilt = False

    def reset(self) -> None:
        """Its memory goes back to the pool."""
        self._steps.clear()
        self._own.clear()

    def pool(self) -> Pool:
        """What another graph may share."""
        return self.shares

    def refuse(self, what: str) -> None:
        """Raises RuntimeError."""
        self._lost = what
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing: {what}")

    def operand(self, tensor: Tensor) -> object:
        """How a step finds a tensor of the device again."""
        if _key(tensor) in self._own:
            return tensor
        form = tensor.storage_offset(), tensor.size(), tensor.stride()
        return _Outside(StorageWeakRef(tensor.untyped_storage()), tensor.dtype, form)

    def before_write(self, written: Sequence[Tensor]) -> None:
        """Keep what these tensors of the device hold, if they are from before the capture."""
        for tensor in written:
            if _key(tensor) not in self._own and _key(tensor) not in self._before:
                storage = tensor.untyped_storage()
                self._before[_key(tensor)] = storage, storage.clone()

    def add(self, compute: Callable[..., Any], args: Any, kwargs: Any, given: Sequence[Tensor], results: Any) -> None:
        """An operation that was run, its arguments as ``operand`` has them and as they were, and what came of it."""
        known = {_key(tensor) for tensor in given}

        def made(result: object) -> object:
            """None of what lies in an argument's memory, and needs no copy."""
            if not isinstance(result, Tensor) or _key(result) in known:
                return None
            self._own[_key(result)] = result.untyped_storage()
            return result

        self._steps.append(_Step(compute, args, kwargs, tree_map(made, results)))

    def _spoil(self) -> None:
        if self._is_spoilt:
            return
        with _disable_current_modes():
            for storage in self._own.values():
                storage.fill_(_GARBAGE)  # type: ignore[attr-defined]
        self._is_spoilt = True


def _found(operand: object) -> object:
    return operand.tensor() if isinstance(operand, _Outside) else operand


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


REPLACED: tuple[tuple[Any, str, Any], ...] = (
    (torch._C, "_cuda_endAllocateToPool", end_allocate_to_pool),
    (torch.cuda, "empty_cache", empty_cache),
    (torch.cuda, "Stream", Stream),
    (torch.cuda, "stream", StreamContext),
    (torch.cuda, "current_stream", current_stream),
    (torch.cuda, "graph_pool_handle", Pool),
    (torch.cuda, "CUDAGraph", Graph),
    (torch.cuda.graph, "default_capture_stream", None),
    (torch._C, "_host_emptyCache", lambda: None),
)
"""What of PyTorch stands for these; ``torch.cuda.graph`` itself is PyTorch's."""
