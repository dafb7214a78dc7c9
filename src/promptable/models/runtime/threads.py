"""How many threads a function computes with on a CPU."""

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import torch

_SMALL_BYTES = 32 * 2**20
_CGROUPS = Path("/sys/fs/cgroup")


def choose_threads(weights: Sequence[Path]) -> None:
    """As many as there are cores for models of these files; one for models that are small altogether.

    A small model (under 32 MB) answers in milliseconds: to share these between threads costs more than it brings, above
    all where other functions keep the cores busy. A user's ``OMP_NUM_THREADS`` is left alone.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    is_small = sum(file.stat().st_size for file in weights) < _SMALL_BYTES
    torch.set_num_threads(1 if is_small else available_cpus())


def available_cpus(cgroups: Path = _CGROUPS) -> int:
    """The cores that this process may use: those of its affinity, but no more than its container's limit, rounded up.

    PyTorch knows the affinity only: in a container with 2 of 32 cores it would start 32 threads.
    """
    cores = len(os.sched_getaffinity(0))
    limit = _limit(cgroups)
    return cores if limit is None else max(1, min(cores, ceil(limit)))


def _limit(cgroups: Path) -> float | None:
    """Cores by the CPU controller's quota and period, of cgroup v2 or v1; None without a limit."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((cgroups / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        return None if quota in ("max", "-1") else int(quota) / int(period)
    return None
