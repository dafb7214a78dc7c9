"""For all tests: one thread per model, on the CPU. Toy models gain nothing from more, and threads that wait for a core
spin; and what tests claim of answers, they claim of the CPU's, but for ``tests/gpu``. As in the images there is no
Triton (docker/install-packages.sh): what imports it fails."""

import logging
import os
import sys
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PROMPTABLE_DEVICE"] = "cpu"
sys.modules["triton"] = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _package_log_is_no_functions() -> Iterator[None]:
    """A function that was loaded takes the package's log, and its logger would show every record a second time."""
    yield
    logging.getLogger("promptable").handlers.clear()
