"""The simulated device obeys a device's rules, so that what fails on a GPU fails here."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.simulated_cuda import counted, simulated_cuda


@pytest.fixture
def cuda() -> Iterator[torch.device]:
    with simulated_cuda():
        yield torch.device("cuda")


def test_it_computes_what_the_cpu_computes(cuda: torch.device) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()
    pictures = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        expected = network(pictures)
        found = network.to(cuda)(pictures.to(cuda))
    assert found.device == torch.device("cuda:0")
    assert torch.equal(found.cpu(), expected)


def test_what_is_made_or_written_there_stays_there(cuda: torch.device) -> None:
    numbers = torch.tensor([1.0, 2.0], device=cuda)
    assert numbers.add_(1) is numbers
    numbers[0] = 7
    assert numbers.view(2, 1)[0].device.type == torch.zeros_like(numbers).device.type == "cuda"
    assert numbers.tolist() == [7.0, 3.0]


def test_single_numbers_indices_and_copies_may_cross(cuda: torch.device) -> None:
    numbers = torch.arange(4.0, device=cuda)
    assert (numbers * torch.tensor(2.0))[torch.tensor([1, 3])].tolist() == [2.0, 6.0]
    numbers.copy_(torch.ones(4))
    assert numbers.cpu().numpy().tolist() == [1.0] * 4


class Forgetful(nn.Module):
    """Makes a tensor without saying where."""

    def forward(self, numbers: Tensor) -> Tensor:
        return numbers + torch.ones(3)


MISTAKES: dict[str, Callable[[Tensor], object]] = {
    "a tensor made on the CPU": Forgetful(),
    "weights left on the CPU": nn.Linear(3, 3),
    "joined": lambda numbers: torch.cat([numbers, torch.ones(3)]),
    "written into": lambda numbers: torch.ones(3).add_(numbers),
    "chosen by an index of the GPU": lambda numbers: torch.ones(3)[numbers.long()],
    "read by numpy": lambda numbers: numbers.numpy(),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_tensor_in_the_wrong_place_is_an_error(cuda: torch.device, mistake: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=r"same device|device as|can't convert cuda"):
        MISTAKES[mistake](torch.zeros(3, device=cuda))


def test_copies_and_waits_are_counted(cuda: torch.device) -> None:
    with counted() as traffic:
        there = torch.zeros(3).to(cuda)
        torch.ones(3).to(cuda, non_blocking=True)
        assert (len(traffic.copies), len(traffic.waits)) == (2, 1)
        _ = there.sum().item(), there.cpu(), there.tolist()
        assert (len(traffic.copies), len(traffic.waits)) == (5, 4)
        _ = there[there > 0]  # of a size that only the GPU knows
        there[there > 0] = 1.0
        _ = there[[0, 1]] + 1  # an index of the CPU
        assert (len(traffic.copies), len(traffic.waits)) == (6, 6)
    assert "there[there > 0]  # of a size" in traffic.waits[4]


WAITING: dict[str, Callable[[Tensor], object]] = {
    "a mask filled with a number of the GPU": lambda there: there.masked_fill(there > 0, there.sum()),
    "one number of the CPU written in places": lambda there: there.__setitem__(there.argmax()[None], 5.0),
    "chosen from a number of the CPU": lambda there: torch.where(there > 0, there, torch.tensor(1.0)),
    "solved": lambda there: torch.linalg.inv(there.diag()),
}


@pytest.mark.parametrize("what", WAITING)
def test_what_cuda_waits_for_though_it_does_not_look_so(cuda: torch.device, what: str) -> None:
    there = torch.ones(3, device=cuda)
    with counted() as traffic:
        WAITING[what](there)
    assert (len(traffic.copies), len(traffic.waits)) == (1, 1)


def test_what_cuda_does_not_wait_for_though_it_looks_so(cuda: torch.device) -> None:
    there, places = torch.ones(3, device=cuda), torch.tensor([0, 2], device=cuda)
    with counted() as traffic:
        there[places] = there[places] + 1
        there[1:] = 3.0
        there.masked_fill_(there > 2, 4.0)
        torch.where(there > 0, there, 7.0)
        there.view(3, 1).repeat_interleave(2, dim=1)
        torch.cartesian_prod(there, there)
    assert traffic.copies == traffic.waits == []


def test_what_is_copied_without_waiting_is_there_after_waiting(cuda: torch.device) -> None:
    numbers, pinned = torch.tensor([1.0, 2.0], device=cuda), torch.empty(2, pin_memory=True)
    with counted() as traffic:
        pinned.copy_(numbers, non_blocking=True)
        assert pinned.tolist() != [1.0, 2.0]
        assert traffic.waits == traffic.pageable == []
        torch.cuda.current_stream().synchronize()
        assert pinned.tolist() == [1.0, 2.0]
        assert len(traffic.waits) == 1
        torch.empty(2).copy_(numbers, non_blocking=True)  # not pinned: CUDA waits all the same
        assert (len(traffic.copies), len(traffic.waits), len(traffic.pageable)) == (2, 2, 1)
        halves = numbers.to("cpu", torch.float16, non_blocking=True)  # PyTorch pins that
        assert halves.tolist() != [1.0, 2.0]
        torch.cuda.current_stream().synchronize()
        assert halves.tolist() == [1.0, 2.0]
    assert (len(traffic.copies), len(traffic.waits), len(traffic.pageable)) == (3, 3, 1)


def test_what_is_copied_without_waiting_must_not_change(cuda: torch.device) -> None:
    pinned = torch.ones(2, pin_memory=True)
    with counted() as traffic:
        pinned.to(cuda, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        pinned.fill_(2)  # it is done
    assert (len(traffic.copies), len(traffic.waits), len(traffic.pageable)) == (1, 1, 0)
    pinned.to(cuda, non_blocking=True)
    pinned.fill_(3)
    with pytest.raises(RuntimeError, match="before a copy of it was done"):
        torch.cuda.current_stream().synchronize()


def test_afterwards_it_is_gone() -> None:
    before = torch.cuda.is_available()
    with simulated_cuda():
        assert torch.cuda.is_available()
    assert torch.cuda.is_available() == before
    with torch.inference_mode():
        assert torch.ones(1).is_inference()
