"""How many threads a function gets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from promptable.models.cores import threads
from promptable.models.cores.shared_cores import SharedCores
from promptable.models.cores.threads import available_cpus, choose_threads, take_threads

CORES = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    torch.set_num_threads(before)
    threads._shared.clear()


def _weights(folder: Path, *megabytes: int) -> list[Path]:
    files = [folder / f"{number}.safetensors" for number in range(len(megabytes))]
    for file, size in zip(files, megabytes, strict=True):
        with file.open("wb") as stream:
            stream.truncate(size * 2**20)
    return files


def test_small_models_get_one_thread(tmp_path: Path) -> None:
    choose_threads(_weights(tmp_path, 8, 2))
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("megabytes", [(156,), (8, 30)])
def test_large_models_get_every_core(tmp_path: Path, megabytes: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    choose_threads(_weights(tmp_path, *megabytes))
    assert torch.get_num_threads() == available_cpus()


def test_what_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    choose_threads(_weights(tmp_path, 1))
    assert torch.get_num_threads() == 3


def test_an_empty_variable_sets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Compose makes of one that its own environment lacks."""
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    torch.set_num_threads(2)
    choose_threads(_weights(tmp_path, 1))
    assert torch.get_num_threads() == 1


def _taken(folder: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int) -> list[object]:
    """Who was asked to share cores before a request to a function with such weights."""
    asked: list[object] = []
    monkeypatch.setattr(SharedCores, "take", lambda shared: asked.append(shared))
    monkeypatch.setattr(threads, "available_cpus", lambda: 2)
    choose_threads(_weights(folder, megabytes))
    take_threads()
    return asked


def test_large_models_share_their_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_taken(tmp_path, monkeypatch, 156)) == 1


def test_small_models_have_nothing_to_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _taken(tmp_path, monkeypatch, 1)


def test_what_the_user_has_set_is_never_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert not _taken(tmp_path, monkeypatch, 156)


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, CORES),
        ({"cpu.max": "max 100000\n"}, CORES),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, CORES),
        ({"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": f"{CORES * 100_000 - 1} 100000\n"}, CORES),
        ({"cpu.max": "in no known form of text\n"}, CORES),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, files: dict[str, str], most: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cpus(tmp_path) == most
