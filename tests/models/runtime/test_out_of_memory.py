"""What is tried after memory has run out has all of it: nothing of the failed try is held."""

import weakref

import pytest
import torch

from promptable.errors import OutOfMemoryError
from promptable.models.runtime.out_of_memory import first_that_fits, in_batches, naming_out_of_memory


class Large:
    """Stands for a tensor."""


class Model:
    """Takes something large for each call, and runs out of memory with it; in ``taken`` is what still lives."""

    def __init__(self) -> None:
        self.taken: weakref.WeakSet[Large] = weakref.WeakSet()

    @property
    def held(self) -> int:
        return len(self.taken)

    def __call__(self) -> int:
        large = Large()
        self.taken.add(large)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def test_when_the_cache_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, held = Model(), []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: held.append(model.held))
    with pytest.raises(OutOfMemoryError, match="Tried to allocate 2 GiB"), naming_out_of_memory():
        model()
    assert held == [0]


def test_an_error_without_words() -> None:
    with pytest.raises(OutOfMemoryError, match=r"^not enough memory$"), naming_out_of_memory():
        raise MemoryError


def test_when_less_is_tried() -> None:
    model = Model()

    def fail() -> int:
        features = Large()
        model.taken.add(features)
        with naming_out_of_memory():
            return model()

    assert first_that_fits([("much", fail), ("less", lambda: model.held)]) == 0
    with pytest.raises(OutOfMemoryError, match="not enough memory: CUDA out of memory"):
        first_that_fits([("much", fail), ("less", fail)])


def test_when_a_smaller_batch_is_tried() -> None:
    model = Model()
    assert in_batches([1, 2], lambda batch: [model.held] if len(batch) == 1 else [model()], 2) == [0, 0]


def test_without_attempts() -> None:
    with pytest.raises(ValueError, match="nothing to attempt"):
        first_that_fits([])
