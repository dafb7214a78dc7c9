"""What crosses in one block arrives as it left, late enough, and through memory that is pinned once."""

import numpy as np
import torch

from promptable.models.runtime.transfer import to_cpu, to_device
from tests.models.runtime.test_transfer import VALUES

CUDA = torch.device("cuda")
LONG = 100_000_000
"""Cycles of the GPU, some 60 ms: for so long it has not done what is asked of it next."""


def test_there_and_back() -> None:
    there = to_device(CUDA, VALUES)
    assert all(tensor.is_cuda for tensor in there)
    for sent, returned in zip(VALUES, to_cpu(*there), strict=True):
        assert returned.dtype == sent.dtype
        assert returned.is_pinned() or not returned.numel()
        assert torch.equal(returned, sent)


def test_pinned_blocks_are_used_again() -> None:
    there = to_device(CUDA, VALUES)
    to_cpu(*there)
    before = torch.cuda.host_memory_stats()["num_host_alloc"]
    for _ in range(50):
        to_cpu(*to_device(CUDA, VALUES))
    assert torch.cuda.host_memory_stats()["num_host_alloc"] - before <= 2


def test_answers_are_not_read_before_they_are_there() -> None:
    numbers = torch.zeros(1000, device=CUDA)
    torch.cuda.synchronize()
    torch.cuda._sleep(LONG)
    numbers.fill_(7)
    (found,) = to_cpu(numbers)
    assert found.eq(7).all()


def test_a_block_is_not_written_again_before_it_is_read() -> None:
    """Nobody waits for copies to the GPU: here all 20 are asked for while it is busy with something else."""
    arrays = [np.full(100_000, number, np.float32) for number in range(20)]
    torch.cuda.synchronize()
    torch.cuda._sleep(LONG)
    there = [tensor for array in arrays for tensor in to_device(CUDA, [array])]
    for array, found in zip(arrays, to_cpu(*there), strict=True):
        np.testing.assert_array_equal(found.numpy(), array)
