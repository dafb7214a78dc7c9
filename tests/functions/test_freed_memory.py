"""Every function keeps freed memory for its next request; on a GPU, but for what loading its weights has left."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from promptable.models.runtime import memory
from tests.functions.conftest import TOY, Function, new_detector
from tests.simulated_cuda import simulated_cuda


@pytest.fixture
def glibc(monkeypatch: pytest.MonkeyPatch) -> Mock:
    stand_in = Mock()
    monkeypatch.setattr(memory, "_glibc", lambda: stand_in)
    return stand_in


def _load(name: str, device: str, folder: Path) -> None:
    variables = {"PROMPTABLE_DEVICE": device, "PROMPTABLE_CUDA_GRAPHS": "false"}
    if name == "grounding-dino":
        new_detector(folder, [{"name": "red disc", "type": "mask"}], **variables)
    else:
        Function(name, variables | {"PROMPTABLE_MODEL": str(TOY / "sam2")})


@pytest.mark.parametrize("name", ["grounding-dino", "sam-interactor", "sam2-tracker"])
def test_on_a_gpu(glibc: Mock, tmp_path: Path, name: str) -> None:
    with simulated_cuda():
        _load(name, "cuda", tmp_path)
    first, *_, last = glibc.method_calls
    assert first == ("mallopt", (-3, 2**30), {})
    assert last == ("malloc_trim", (0,), {})


@pytest.mark.parametrize("name", ["grounding-dino", "sam-interactor", "sam2-tracker"])
def test_on_a_cpu_where_the_next_request_takes_the_place_of_what_loading_has_left(
    glibc: Mock, tmp_path: Path, name: str
) -> None:
    _load(name, "cpu", tmp_path)
    assert {call[0] for call in glibc.method_calls} == {"mallopt"}
