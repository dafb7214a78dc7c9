"""On a CPU: as many threads for each request as the machine's other programs leave cores.

Functions that all compute with every core get in one another's way: each layer waits for its slowest thread, which
waits for a core. Together they then do less than one alone, and more with fewer threads each. Who is alone keeps all.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import torch

_STAT = Path("/proc/stat")
_COUNTED = (0, 1, 2, 5, 6)
"""Of a processor's times in ``/proc/stat`` (proc(5)): user, nice, system, irq and softirq."""
_SHORTEST_SECONDS = 0.25
"""The shortest time over which use is measured: the kernel counts in hundredths of a second."""


@dataclass(frozen=True)
class _Used:
    """Seconds of the clock, of all programs on this process's cores, and of this process itself."""

    clock: float
    everyone: float
    own: float


class SharedCores:
    """Sets the number of threads before a request, between half of ``cores`` and all of them.

    It is set for the calling thread. Without ``/proc/stat``, as outside Linux, all cores are used.
    """

    def __init__(self, cores: int, stat: Path = _STAT) -> None:
        self._cores = cores
        self._stat = stat
        self._before = self._used()
        self._threads = cores

    def take(self) -> None:
        """Set the number by what other programs have used since the last time."""
        now = self._used()
        if self._before and now and now.clock - self._before.clock >= _SHORTEST_SECONDS:
            self._threads = self._left(self._before, now)
            self._before = now
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)

    def _left(self, before: _Used, now: _Used) -> int:
        """Other programs may use cores of this process without its having fewer: a container's limit can be lower."""
        used = (now.everyone - before.everyone) - (now.own - before.own)
        free = len(os.sched_getaffinity(0)) - used / (now.clock - before.clock)
        return max(self._cores // 2, 1, min(self._cores, round(free)))

    def _used(self) -> _Used | None:
        try:
            lines = [line.split() for line in self._stat.read_text().splitlines()]
        except OSError:
            return None
        mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        ticks = sum(int(times[1 + kind]) for times in lines if times[0] in mine for kind in _COUNTED)
        return _Used(perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), process_time())
