"""The examples in docstrings are true."""

import doctest
from types import ModuleType

import pytest

from promptable.cvat.effort import intervals
from promptable.cvat.geometry import interpolation, run_lengths
from promptable.models.detection import tiling
from promptable.wire import masks


@pytest.mark.parametrize("module", [intervals, interpolation, masks, run_lengths, tiling])
def test_examples_run(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
