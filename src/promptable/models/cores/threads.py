"""The number of threads that a function uses on a CPU."""

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import torch

from promptable.models.cores.shared_cores import SharedCores

_SMALL_BYTES = 32 * 2**20
_CGROUPS = Path("/sys/fs/cgroup")
_shared: list[SharedCores] = []
"""Empty, or the one of this process, to which the number of threads belongs too."""


def choose_threads(weights: Sequence[Path]) -> None:
    """Set the number of threads for models with these checkpoint files: all available cores, or 1 for small models.

    Models under 32 MB in all answer in milliseconds. Sharing this work between threads costs more time than it saves,
    above all while other functions keep the cores busy. Others share the cores with those functions, request by request
    (``take_threads``). If the user has set ``OMP_NUM_THREADS``, nothing is changed, now or later.
    """
    _shared.clear()
    if os.environ.get("OMP_NUM_THREADS"):
        return
    cores = 1 if sum(file.stat().st_size for file in weights) < _SMALL_BYTES else available_cpus()
    torch.set_num_threads(cores)
    if cores > 1:
        _shared.append(SharedCores(cores))


def take_threads() -> None:
    """Before a request: leave other programs the cores that they use, up to half of ours, once threads were chosen."""
    for shared in _shared:
        shared.take()


def available_cpus(cgroups: Path = _CGROUPS) -> int:
    """The number of cores that this process may use: those of its affinity, at most its container's limit, rounded up.

    PyTorch reads only the affinity: in a container that is limited to 2 of 32 cores, it would start 32 threads.
    """
    cores = len(os.sched_getaffinity(0))
    limit = _limit(cgroups)
    return cores if limit is None else max(1, min(cores, ceil(limit)))


def _limit(cgroups: Path) -> float | None:
    """The limit in cores, from the quota and period of the CPU controller of cgroup v2 or v1; None without a limit."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((cgroups / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        return None if quota in ("max", "-1") else int(quota) / int(period)
    return None
