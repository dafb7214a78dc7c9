"""What OpenMP is told before PyTorch is imported. Importable without torch.

Its threads spin while they wait for the next piece of work, on cores that the other functions of the machine need: one
that spins for long (libgomp's own 300,000 rounds are some 10 ms) slows its neighbours to a fortieth. A short while
bridges the gap between two layers of a network, and is over soon after the last one.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType

ENVIRONMENT: Mapping[str, str] = MappingProxyType({"GOMP_SPINCOUNT": "10000"})


def prepare() -> None:
    """Set ``ENVIRONMENT`` for this process, where the user has set nothing else. Later than torch it has no effect."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
