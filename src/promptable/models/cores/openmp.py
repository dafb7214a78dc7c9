"""OpenMP settings, which must be set before PyTorch is imported. This module does not import torch.

OpenMP's threads spin (wait actively) for the next piece of work, on cores that other functions of the machine need. If
they spin for long (libgomp's default of 300,000 rounds is some 10 ms), other functions run at a fortieth of their
speed. A short spin is enough for the gap between two layers of a network, and ends soon after the last layer.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType

ENVIRONMENT: Mapping[str, str] = MappingProxyType({"GOMP_SPINCOUNT": "10000"})


def prepare() -> None:
    """Set the variables of ``ENVIRONMENT`` that the user has not set. It has no effect once torch is imported."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
