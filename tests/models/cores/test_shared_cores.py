"""A function computes with the cores that other programs leave, at least half of its own, and alone with all."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from promptable.models.cores import shared_cores
from promptable.models.cores.shared_cores import SharedCores

TICKS = os.sysconf("SC_CLK_TCK")
Used = Callable[[float, float, float], None]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stat(tmp_path: Path) -> Path:
    """What stands for ``/proc/stat``."""
    return tmp_path / "stat"


@pytest.fixture
def used(stat: Path, monkeypatch: pytest.MonkeyPatch) -> Used:
    """On a machine of 8 cores, 4 of which are this process's: what the clock shows, what everyone on these four and
    this process have used."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})

    def now(clock: float, everyone: float, own: float) -> None:
        ticks = round(everyone * TICKS / 4)
        mine = [f"cpu{core} {ticks} 0 0 900 900 0 0 900 0 0" for core in range(4)]
        others = [f"cpu{core} {10**6 + round(clock * TICKS)} 0 0 0 0 0 0 0 0 0" for core in range(4, 8)]
        stat.write_text("\n".join(["cpu  1 1 1 1 1 1 1 1 1 1", *mine, *others, "intr 5 0 0", "ctxt 7"]))
        monkeypatch.setattr(shared_cores, "perf_counter", lambda: clock)
        monkeypatch.setattr(shared_cores, "process_time", lambda: own)

    return now


@pytest.mark.parametrize(
    ("everyone", "own", "threads"),
    [
        (40.0, 40.0, 4),  # alone
        (14.0, 10.0, 4),  # what others use is little
        (30.0, 20.0, 3),
        (40.0, 20.0, 2),
        (40.0, 0.0, 2),  # a half is ours, however busy the others are
        (39.9, 40.0, 4),  # the kernel rounds
    ],
)
def test_others_cores_are_left_to_them(stat: Path, used: Used, everyone: float, own: float, threads: int) -> None:
    assert _threads(stat, used, 4, everyone, own) == threads


def _threads(stat: Path, used: Used, cores: int, everyone: float, own: float) -> int:
    """Of these cores how many are taken after ten seconds in which everyone, and this process, used so much."""
    used(100.0, 50.0, 5.0)
    shared = SharedCores(cores, stat)
    used(110.0, 50.0 + everyone, 5.0 + own)
    shared.take()
    return torch.get_num_threads()


def test_all_cores_are_back_when_the_others_are_done(stat: Path, used: Used) -> None:
    used(100.0, 0.0, 0.0)
    shared = SharedCores(4, stat)
    used(101.0, 4.0, 0.0)
    shared.take()
    assert torch.get_num_threads() == 2
    used(102.0, 4.0, 0.0)
    shared.take()
    assert torch.get_num_threads() == 4


def test_a_moment_says_nothing(stat: Path, used: Used) -> None:
    used(100.0, 0.0, 0.0)
    shared = SharedCores(4, stat)
    used(100.1, 0.4, 0.0)
    shared.take()
    assert torch.get_num_threads() == 4
    used(100.3, 1.2, 0.0)  # moments add up
    shared.take()
    assert torch.get_num_threads() == 2


def test_a_container_limit_is_what_can_be_taken(stat: Path, used: Used) -> None:
    assert _threads(stat, used, cores=2, everyone=20.0, own=0.0) == 2  # two of four cores are left


def test_one_core_is_one_thread(stat: Path, used: Used) -> None:
    assert _threads(stat, used, cores=1, everyone=40.0, own=0.0) == 1


def test_without_proc_all_cores_are_taken(tmp_path: Path) -> None:
    shared = SharedCores(2, tmp_path / "none")
    torch.set_num_threads(1)
    shared.take()
    assert torch.get_num_threads() == 2


def test_the_real_file_is_read() -> None:
    shared = SharedCores(2)
    shared.take()
    assert 1 <= torch.get_num_threads() <= 2
