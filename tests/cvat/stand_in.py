"""The stand-in for CVAT's server, which the demo and the benchmarks use too."""

from toy.cvat.http import serve
from toy.cvat.stand_in import PASSWORD, TOKEN, StandIn, Task

__all__ = ["PASSWORD", "TOKEN", "StandIn", "Task", "serve"]
