"""Building a model without random initial parameters, which would be overwritten by its weights anyway."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.overrides import TorchFunctionMode

_RANDOM = {"uniform_", "normal_", "kaiming_uniform_", "trunc_normal_", "erfinv_"}
"""What fills parameters with random numbers in torch and transformers: functions whose first argument is a tensor."""


@contextmanager
def left_out() -> Iterator[None]:
    """Inside this context, parameters of new modules stay uninitialised, and use no memory until they are written."""
    with _Skipping():
        yield


class _Skipping(TorchFunctionMode):
    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in _RANDOM:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))
