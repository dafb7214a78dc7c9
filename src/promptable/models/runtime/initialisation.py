"""A model that is about to be given its weights need not be filled with random numbers first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.overrides import TorchFunctionMode

_RANDOM = {"uniform_", "normal_", "kaiming_uniform_", "trunc_normal_", "erfinv_"}
"""What tensors, ``torch.nn.init`` and transformers call what they fill parameters with; each takes a tensor first."""


@contextmanager
def left_out() -> Iterator[None]:
    """Inside, parameters of new modules hold whatever their memory holds, and take none until they are written."""
    with _Skipping():
        yield


class _Skipping(TorchFunctionMode):
    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in _RANDOM:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))
