"""What a benchmark ran on: no figure means anything without it.

PyTorch is imported only where it is needed, since the memory of commands without it is measured too.
"""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")
"""Instructions that speed up matrix products."""


def precision() -> str:
    """What ``auto`` means here."""
    from promptable.models.runtime import device
    from promptable.models.runtime.precision import decide

    return decide("auto", device.resolve("auto"))


def precisions(quick: bool = False) -> tuple[str, ...]:
    """What ``auto`` means here and, unless ``quick``, ``fp32`` where that is something else."""
    return (precision(),) if quick else tuple(dict.fromkeys((precision(), "fp32")))


def described() -> Mapping[str, str]:
    """Date, processor, GPU, versions, and the numbers that models compute in unless told otherwise."""
    import torch

    from promptable.models.runtime import device

    where = device.resolve("auto")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{len(os.sched_getaffinity(0))} cores of {_cpuinfo('model name') or platform.processor()}",
        "flags": " ".join(flag for flag in _FLAGS if flag in _cpuinfo("flags").split()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "versions": f"Python {platform.python_version()}, PyTorch {torch.__version__}",
        "precision": f"{precision()} on {where}",
    }


def line() -> str:
    """The same for people."""
    return ", ".join(f"{key} {value}" for key, value in described().items())


def _cpuinfo(key: str) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
