"""What crosses in one block arrives as it left."""

from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from promptable.models.runtime import transfer
from promptable.models.runtime.transfer import to_cpu, to_device
from tests.simulated_cuda import Traffic, counted

VALUES = [
    torch.tensor([True, False, True]),
    torch.arange(6.0).view(2, 3),
    torch.tensor(-1.5),
    torch.arange(5).bfloat16(),
    torch.zeros(0, 4),
    torch.arange(24, dtype=torch.uint8).view(2, 3, 4).permute(2, 0, 1),
    torch.tensor([2**40]),
]


def there_and_back(device: torch.device) -> Traffic:
    with counted() as traffic:
        there = to_device(device, VALUES)
        assert {tensor.device.type for tensor in there} == {"cuda"}
        back = to_cpu(*there)
    for sent, returned in zip(VALUES, back, strict=True):
        assert returned.dtype == sent.dtype
        assert torch.equal(returned, sent)
    return traffic


def test_there_and_back_in_one_copy_each_through_pinned_memory(cuda: torch.device) -> None:
    traffic = there_and_back(cuda)
    assert (len(traffic.copies), len(traffic.waits), traffic.pageable) == (2, 1, [])


def test_where_no_memory_can_be_pinned(cuda: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    """As where the system or a container lets no process lock so much."""
    empty = torch.empty

    def refusing(*size: int, pin_memory: bool = False, **more: Any) -> Tensor:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return empty(*size, **more)

    with mock.patch.object(torch, "empty", refusing):
        for _ in range(2):
            traffic = there_and_back(cuda)
    assert (len(traffic.copies), len(traffic.pageable)) == (2, 2)
    assert [record.message for record in caplog.records if "no memory can be pinned" in record.message][1:] == []
    assert "out of memory" in caplog.text


def test_a_huge_picture_pins_nothing(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned memory is never given back to the system."""
    monkeypatch.setattr(transfer, "_MOST_PINNED", 7)
    with counted() as traffic:
        to_device(cuda, [np.zeros(8, np.uint8)])
        to_device(cuda, [np.zeros(7, np.uint8)])
    assert (len(traffic.copies), len(traffic.pageable), traffic.waits) == (2, 1, [])


def test_what_is_there_already_is_not_copied_again(cuda: torch.device) -> None:
    (first,) = to_device(cuda, [np.arange(3)])
    with counted() as traffic:
        new, found, narrow = to_device(cuda, [np.ones(5, np.float32), first, np.array([7], np.uint8)])
        assert found is first
    assert len(traffic.copies) == 1
    assert (new.cpu().tolist(), narrow.cpu().tolist()) == ([1.0] * 5, [7])


def test_on_the_cpu_nothing_is_copied() -> None:
    array = np.ones((2, 2), np.float32)
    (tensor,) = to_device(torch.device("cpu"), [array])
    array[0, 0] = 7
    assert tensor[0, 0] == 7
    assert to_cpu(tensor)[0] is tensor
