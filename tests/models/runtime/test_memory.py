"""A process that answers requests: no fresh pages for every picture and tensor, and no weights that a GPU has."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from promptable.models.runtime.memory import keep_freed_memory

def faults_of_ten_tensors():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults_of_ten_tensors()
keep_freed_memory()
faults_of_ten_tensors()
print(given_back, faults_of_ten_tensors())
"""


GIVEN_BACK = """
import psutil
import torch
from promptable.models.runtime.memory import give_back_freed_memory, keep_freed_memory

def megabytes():
    return psutil.Process().memory_info().rss // 2**20

keep_freed_memory()
before = megabytes()
weights = [torch.ones(2**20) for _ in range(100)]
last = torch.ones(1)
del weights
kept = megabytes() - before
give_back_freed_memory()
print(kept, megabytes() - before)
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")


def _printed(code: str) -> list[int]:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return [int(number) for number in ran.stdout.split()]


def test_freed_memory_is_used_again() -> None:
    given_back, kept = _printed(FAULTS)
    assert kept < given_back / 10


def test_what_loading_has_left_can_be_given_back() -> None:
    kept, left = _printed(GIVEN_BACK)
    assert kept > 300, "400 MB of weights were freed, and stay with the process"
    assert left < 100
