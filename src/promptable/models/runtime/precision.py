"""The precision in which models compute: ``fp32``, ``bf16`` or ``fp16``, and which of them ``auto`` means."""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)

_NUMBERS: Mapping[str, torch.dtype] = MappingProxyType(
    {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
)
_LEAST_CAPABILITY = (8, 0)
"""The compute capability from which GPUs multiply bfloat16 in hardware (Ampere); for older ones PyTorch emulates it."""

T = TypeVar("T")


def decide(precision: str, device: str, shared: bool = False) -> str:
    """The precision for a setting on a resolved device; logs the reason. On one machine the result is always the same.

    ``auto`` is ``bf16`` on a GPU or CPU with hardware for bfloat16 products, else ``fp32``. ``shared`` says that
    replicas use each other's results; ``auto`` is then ``fp32`` on every CPU, since the CPUs of other replicas may lack
    that hardware. ``fp16`` is for GPUs: on a CPU it becomes ``fp32``.
    """
    decided, reason = _decided(precision, device, shared)
    _log.info("precision %s: %s", decided, reason)
    return decided


def numbers(precision: str) -> torch.dtype:
    """The dtype of the results of a model's matrix products."""
    return _NUMBERS[precision]


def autocast(device: torch.device | str, precision: str) -> torch.autocast:
    """A context for one call of a model, which computes its matrix products in ``precision``.

    Make a new context for every call: threads cannot share one. On a GPU, what stays float32 beside ``bf16`` or
    ``fp16`` is rounded to TF32 for its products, 10 bits of mantissa, as in the examples of upstream's SAM 2. PyTorch
    has one switch for that in a process; it stays as the last call has set it.
    """
    kind, wanted = torch.device(device).type, numbers(precision)
    half = wanted is not torch.float32
    torch.set_float32_matmul_precision("high" if half and kind == "cuda" else "highest")
    return torch.autocast(kind, wanted if half else torch.bfloat16, enabled=half)


def as_multiplied(features: Tensor) -> Tensor:
    """The features in the dtype to which autocast, if it is on, converts them for each product that they go into."""
    kind = features.device.type
    return features.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else features


class InFloat32(nn.Module):
    """A layer that computes in float32 even inside autocast.

    The first and last layers of a model do so: they cost little, and no later layer evens out the rounding of the last.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor, *more: Any) -> Any:
        """The layer's result; all tensors among its arguments are converted to float32 first."""
        exact = (each.float() if isinstance(each, Tensor) else each for each in (features, *more))
        with torch.autocast(features.device.type, enabled=False):
            return self.layer(*exact)


def guarded(precision: str, run: Callable[[str], T]) -> T:
    """The result of ``run(precision)``; if float16 overflows, a warning in the log and the result of ``run("fp32")``.

    ``run`` reports an overflow by FloatingPointError, as for any output with NaN or Infinity.
    """
    if precision != "fp16":
        return run(precision)
    try:
        return run("fp16")
    except FloatingPointError as error:
        _log.warning("float16 is too small for this picture, it is computed again in float32: %s", error)
    return run("fp32")


def _decided(precision: str, device: str, shared: bool) -> tuple[str, str]:
    """The precision and the reason for it."""
    is_gpu = torch.device(device).type == "cuda"
    if precision == "fp16" and not is_gpu:
        return "fp32", "fp16 is asked for, but a CPU multiplies float16 more slowly than float32"
    if precision != "auto":
        return precision, "as asked for"
    return _on_gpu(device) if is_gpu else _on_cpu(shared)


def _on_gpu(device: str) -> tuple[str, str]:
    capability = torch.cuda.get_device_capability(device)
    version = ".".join(map(str, capability))
    if capability >= _LEAST_CAPABILITY:
        return "bf16", f"the GPU's compute capability is {version}"
    return "fp32", f"the GPU's compute capability is {version}, below 8.0, where bf16 is slow; fp16 may be faster"


def _on_cpu(shared: bool) -> tuple[str, str]:
    """Decide by the CPU's flags only: a decision by measured time could change from one start to the next."""
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        return "fp32", "the CPU shows no AVX2, without which models take twice as long: a virtual machine may hide it"
    if not _has_matrix_unit():
        return "fp32", "the CPU has no matrix unit (AMX)"
    if shared:
        return "fp32", "replicas that share a Redis agree so, with or without a matrix unit (AMX); bf16 is faster here"
    return "bf16", "the CPU has a matrix unit (AMX)"


def _has_matrix_unit() -> bool:
    """Whether the CPU has AMX for bfloat16 and the kernel lets this process use it."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16")) and torch.cpu._init_amx()
