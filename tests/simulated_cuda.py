"""A CUDA device for machines without one: what lies on it says ``cuda:0``, and is computed by the CPU.

It holds code to the rules of a device: an operation takes tensors of one device (and, as CUDA does, single numbers and
indices of the CPU's), only copies cross over, and numpy reads nothing of the device. So a tensor that was made in the
wrong place fails here as it would on a GPU. ``Traffic`` counts what crosses, and how often the CPU would wait. What is
copied into pinned memory without waiting is rubbish until somebody waits for the stream, and what is copied out of it
must not change before. Streams and CUDA graphs are those of ``simulated_graphs``. It says nothing of speed, of memory,
or of CUDA's own arithmetic.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from tests import simulated_graphs

_CUDA = torch.device("cuda:0")
_CROSSING = {"aten::_to_copy", "aten::copy_"}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
_READING = {"aten::_local_scalar_dense", "aten::equal", "aten::_linalg_check_errors"}
_SIZED_BY_CONTENT = {
    "aten::nonzero",
    "aten::masked_select",
    "aten::bincount",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "torchvision::nms",
}
"""The result's size is known only once the GPU has computed it."""
_RUBBISH = 165


@dataclass
class Traffic:
    """What an asynchronous device is slowed by, each as the operation and the line of ours or of a model package.

    ``copies`` between the CPU and the GPU, either way; ``waits``, where the CPU stands still until the GPU has done all
    that it was given: every copy that is not ``non_blocking``, every one from the GPU into memory that is not pinned,
    waiting for a stream, and results whose size depends on numbers. ``pageable`` are the copies from and to memory that
    is not pinned, which are slower.
    """

    copies: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    pageable: list[str] = field(default_factory=list)


_counting: list[Traffic] = []
_pinned: set[StorageWeakRef] = set()
_unfinished: list[tuple[Tensor, Tensor]] = []
"""Copies into pinned memory that nobody has waited for: where to, and what."""
_unread: list[tuple[Tensor, Tensor]] = []
"""Copies out of it, likewise: where from, and what was there."""


@contextmanager
def counted() -> Iterator[Traffic]:
    """The traffic of what runs inside, to be read afterwards."""
    traffic = Traffic()
    _counting.append(traffic)
    try:
        yield traffic
    finally:
        _counting.remove(traffic)


class CudaTensor(Tensor):
    """A tensor of the device; ``content`` has its numbers."""

    content: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, content: Tensor) -> "CudaTensor":
        made: CudaTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            content.size(),
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            device=_CUDA,
        )
        made.content = content
        return made

    def tolist(self) -> Any:
        """As of every tensor: by a copy."""
        _count("tolist", copies=1, waits=1)
        return self.content.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """With ``force`` a copy, else an error."""
        if force:
            _count("numpy", copies=1, waits=1)
            return self.content.numpy(force=True)
        raise TypeError("can't convert cuda:0 device type tensor to numpy: copy it to the CPU first")

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(operation, args, kwargs or {})


class _Device(TorchDispatchMode):
    """Sees also what makes tensors from none."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


def _synchronize(*_: object) -> None:
    """Wait until all is done."""
    _count("synchronize", waits=1)
    while _unfinished:
        target, numbers = _unfinished.pop(0)
        target.copy_(numbers)
    while _unread:
        source, numbers = _unread.pop(0)
        if not torch.equal(source, numbers):
            raise RuntimeError("pinned memory was written before a copy of it was done")


def _run(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if kwargs.get("pin_memory"):
        return _pin(operation(*args, **kwargs | {"pin_memory": False}))
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    _check_one_device(operation.name(), tensors)
    from_cuda = to_cuda = any(isinstance(tensor, CudaTensor) for tensor in tensors)
    if kwargs.get("device") is not None:
        to_cuda = torch.device(kwargs["device"]).type == "cuda"
    graph = simulated_graphs.capturing()
    if _counting or graph is not None:
        _count_traffic(operation, tensors, args, kwargs, from_cuda, to_cuda)
    if operation.name() in _CROSSING and (target := _not_waited_for(operation, args, kwargs, to_cuda)) is not None:
        return target
    if kwargs.get("device") is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    written = _written(operation, args, kwargs)
    compute = partial(_on_cpu, operation)
    if graph is not None and to_cuda:
        result = _recorded(graph, compute, args, kwargs, written)
    else:
        result = compute(*_contents(args), **_contents(kwargs))
    if written and operation._schema.returns:
        return written[0] if len(written) == 1 else tuple(written)
    return tree_map_only(Tensor, CudaTensor, result) if to_cuda else result


def _recorded(
    graph: simulated_graphs.Graph,
    compute: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    written: Sequence[Any],
) -> Any:
    """What comes of it, as a step of a graph that is being captured. Numbers of the CPU's become part of it."""

    def operand(tensor: Tensor) -> object:
        return graph.operand(tensor.content) if isinstance(tensor, CudaTensor) else tensor.clone()

    operands = tree_map_only(Tensor, operand, args), tree_map_only(Tensor, operand, kwargs)
    graph.before_write([tensor.content for tensor in written if isinstance(tensor, CudaTensor)])
    contents = _contents(args), _contents(kwargs)
    result = compute(*contents[0], **contents[1])
    given = [leaf for leaf in tree_leaves(contents) if isinstance(leaf, Tensor)]
    graph.add(compute, *operands, given, result)
    return result


def _check_one_device(operation: str, tensors: Sequence[Tensor]) -> None:
    name = operation.split(".")[0]
    devices = {tensor.device.type for tensor in tensors if tensor.ndim or isinstance(tensor, CudaTensor)}
    if len(devices) > 1 and name not in _CROSSING | _INDEXING:
        raise RuntimeError(f"Expected all tensors to be on the same device, but {operation} got cuda:0 and cpu")
    if name in _INDEXING and devices == {"cpu", "cuda"} and not isinstance(tensors[0], CudaTensor):
        raise RuntimeError(f"indices should be either on cpu or on the same device as the indexed tensor: {operation}")


def _pin(tensor: Tensor) -> Tensor:
    _pinned.difference_update([one for one in _pinned if one.expired()])
    _pinned.add(StorageWeakRef(tensor.untyped_storage()))
    return tensor


def _is_pinned(tensor: Tensor) -> bool:
    return StorageWeakRef(tensor.untyped_storage()) in _pinned


def _not_waited_for(operation: Any, args: Sequence[Any], kwargs: dict[str, Any], to_cuda: bool) -> Tensor | None:
    """What a copy out of the GPU leaves in pinned memory for now; None of all other copies."""
    source = args[operation.name() == "aten::copy_"]
    if not _is_non_blocking(args, kwargs):
        return None
    if not isinstance(source, CudaTensor):
        if to_cuda and _is_pinned(source):
            _unread.append((source, source.clone()))
        return None
    target = _target(operation, args, kwargs)
    if target is None:
        return None
    _unfinished.append((target, source.content.clone()))
    return target.fill_(_RUBBISH)


def _target(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | None:
    """The pinned memory that a copy from the GPU goes to, if it leaves it: PyTorch pins what it makes for one."""
    if operation.name() == "aten::copy_":
        return args[0] if not isinstance(args[0], CudaTensor) and _is_pinned(args[0]) else None
    if torch.device(kwargs.get("device") or _CUDA).type != "cpu":
        return None
    return _pin(torch.empty_like(args[0].content, dtype=kwargs.get("dtype")))


def _is_non_blocking(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("non_blocking") or (len(args) > 2 and args[2] is True))


def _on_cpu(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """A softmax of half that answers float is one of float: only CUDA has it in one."""
    if operation.name() in ("aten::_softmax", "aten::_log_softmax") and args[2]:
        return operation(args[0].float(), args[1], False)
    return operation(*args, **kwargs)


def _count_traffic(
    operation: Any, tensors: Sequence[Tensor], args: Sequence[Any], kwargs: dict[str, Any], source: bool, target: bool
) -> None:
    """As PyTorch's own CUDA code copies and synchronizes."""
    name = operation.name().split(".")[0]
    if name == "aten::copy_":
        target, source = (isinstance(tensor, CudaTensor) for tensor in tensors[:2])
    if name in _CROSSING and source != target:
        ours = [tensor for tensor in tensors if not isinstance(tensor, CudaTensor)]
        asynchronous = _is_non_blocking(args, kwargs)
        pinned = _is_pinned(ours[0]) if ours else asynchronous
        waits = not asynchronous or not (target or pinned)
        _count(name, copies=1, waits=int(waits), pageable=int(not pinned))
    elif source and name in _READING:
        _count(name, copies=1, waits=1)
    elif source and (name in _SIZED_BY_CONTENT or operation.name() == "aten::repeat_interleave.Tensor"):
        _count(name, waits=int(kwargs.get("output_size") is None))
    elif source and name in _INDEXING:
        _count_indices(name, tensors)
    elif source and _reads_numbers(operation.name(), tensors):
        _count(name, copies=1, waits=1)


def _reads_numbers(operation: str, tensors: Sequence[Tensor]) -> bool:
    """What a mask is filled with is read from the GPU, what is chosen by a condition copied to it."""
    if operation.startswith("aten::masked_fill") and operation.endswith(".Tensor"):
        return isinstance(tensors[-1], CudaTensor)
    return operation == "aten::where.self" and not all(isinstance(tensor, CudaTensor) for tensor in tensors)


def _count_indices(name: str, tensors: Sequence[Tensor]) -> None:
    """Indices of the CPU are copied first, as is one number written through them; masks become indices, but where one
    number is written through them.
    """
    value = tensors[-1] if "put" in name else None
    indices = tensors[1:] if value is None else tensors[1:-1]
    crossing = [index for index in indices if not isinstance(index, CudaTensor)]
    one_number = value is not None and value.ndim == 0 and not isinstance(value, CudaTensor)
    masks = [] if one_number else [index for index in indices if index.dtype == torch.bool]
    for _ in crossing:
        _count(f"{name}, an index of the CPU", copies=1, waits=1)
    for _ in masks:
        _count(f"{name}, a mask", waits=1)
    if one_number and not any(index.dtype == torch.bool for index in indices):
        _count(f"{name}, a number of the CPU", copies=1, waits=1)


def _count(what: str, copies: int = 0, waits: int = 0, pageable: int = 0) -> None:
    if (graph := simulated_graphs.capturing()) is not None and copies + waits:
        graph.refuse(_where(what))
    for traffic in _counting:
        traffic.copies += [_where(what)] * copies
        traffic.waits += [_where(what)] * waits
        traffic.pageable += [_where(what)] * pageable


def _where(what: str) -> str:
    """The operation and who asked for it: the innermost line that is neither torch's nor this file's."""
    frames = [f for f in traceback.extract_stack() if "/torch" not in f.filename and f.filename != __file__]
    innermost = frames[-1]
    return f"{what} at {Path(innermost.filename).name}:{innermost.lineno}: {innermost.line}"


def _contents(values: Any) -> Any:
    return tree_map_only(CudaTensor, lambda tensor: tensor.content, values)


def _written(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that an operation changes, by its schema; those that return something return these."""
    parameters = operation._schema.arguments
    given = dict(zip((parameter.name for parameter in parameters), args, strict=False)) | kwargs
    changed = [p.name for p in parameters if p.alias_info is not None and p.alias_info.is_write]
    return [given[name] for name in changed]


@contextmanager
def simulated_cuda() -> Iterator[None]:
    """Inside, there is a ``cuda`` device. Models to run on it must be made inside, too.

    TorchScript does not see the device, so nothing is compiled; and tensors of inference mode cannot stand for others,
    so there is only ``no_grad``. Where there is a real one, PyTorch chooses kernels that a CPU does not have: there the
    test is skipped.
    """
    if torch.cuda.is_available():
        pytest.skip("a real GPU is here, which cannot be simulated: what it must do is claimed in tests/gpu")
    with ExitStack() as stack:
        for where, name, value in _REPLACED:
            stack.enter_context(mock.patch.object(where, name, value))
        for switch, before in _SWITCHES:
            stack.callback(switch, before)
            switch(not before)
        for left_over in (_unfinished, _unread, simulated_graphs.Pool.unfinished):
            stack.callback(left_over.clear)
        torch._C._ensureCUDADeviceGuardSet()
        stack.enter_context(_Device())
        yield


def _inference_mode(on: bool) -> Any:
    return torch.no_grad() if on else torch.enable_grad()


_REPLACED: tuple[tuple[Any, str, Any], ...] = (
    (torch.cuda, "is_available", lambda: True),
    (torch.cuda, "is_bf16_supported", lambda *_, **__: True),
    (torch.cuda, "get_device_capability", lambda *_: (8, 0)),
    (torch.cuda, "synchronize", _synchronize),
    (torch.cuda, "_lazy_init", lambda: None),
    (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
    (torch._C, "_InferenceMode", _inference_mode),
    (torch.jit._state._enabled, "enabled", False),
    *simulated_graphs.REPLACED,
    (simulated_graphs.Stream, "synchronize", _synchronize),
)
_SWITCHES: tuple[tuple[Callable[[bool], None], bool], ...] = (
    (torch.__future__.set_overwrite_module_params_on_conversion, False),
    (torch._C._set_only_lift_cpu_tensors, False),
)
