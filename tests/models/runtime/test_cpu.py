"""A process for models on a CPU: no fresh pages for every tensor."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from promptable.models.runtime.cpu import keep_freed_memory

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


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    command = [sys.executable, "-c", FAULTS]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    given_back, kept = map(int, ran.stdout.split())
    assert kept < given_back / 10
