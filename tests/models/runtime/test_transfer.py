"""What crosses in one block arrives as it left."""

import numpy as np
import torch

from promptable.models.runtime.transfer import to_cpu, to_device
from tests.simulated_cuda import counted, simulated_cuda

VALUES = [
    torch.tensor([True, False, True]),
    torch.arange(6.0).view(2, 3),
    torch.tensor(-1.5),
    torch.arange(5).bfloat16(),
    torch.zeros(0, 4),
    torch.arange(24, dtype=torch.uint8).view(2, 3, 4).permute(2, 0, 1),
    torch.tensor([2**40]),
]


def test_there_and_back_in_one_copy_each() -> None:
    with simulated_cuda(), counted() as traffic:
        there = to_device(torch.device("cuda"), VALUES)
        assert {tensor.device.type for tensor in there} == {"cuda"}
        back = to_cpu(*there)
    assert (len(traffic.copies), len(traffic.waits)) == (2, 1)
    for sent, returned in zip(VALUES, back, strict=True):
        assert returned.dtype == sent.dtype
        assert torch.equal(returned, sent)


def test_on_the_cpu_nothing_is_copied() -> None:
    array = np.ones((2, 2), np.float32)
    (tensor,) = to_device(torch.device("cpu"), [array])
    array[0, 0] = 7
    assert tensor[0, 0] == 7
    assert to_cpu(tensor)[0] is tensor
