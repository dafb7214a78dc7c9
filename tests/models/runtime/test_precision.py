"""Which numbers a model computes with: by the hardware's flags, the same every time, and said in the log."""

import logging
from collections.abc import Callable, Mapping

import pytest
import torch

from promptable.models.runtime.precision import autocast, decide, guarded, numbers

NUMBERS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
XEON_2023, XEON_2021, RYZEN, ARM = (
    {"amx_bf16": True, "avx512_bf16": True},
    {"amx_bf16": False, "avx512_bf16": True},
    {"amx_bf16": False, "avx512_bf16": True, "avx2": True},
    {"architecture": "aarch64", "bf16": True},
)


@pytest.mark.parametrize(
    ("flags", "usable", "shared", "expected"),
    [
        (XEON_2023, True, False, "bf16"),
        (XEON_2023, True, True, "fp32"),
        (XEON_2023, False, False, "fp32"),
        (XEON_2021, True, False, "fp32"),
        (RYZEN, False, False, "fp32"),
        (ARM, False, False, "fp32"),
    ],
    ids=["AMX", "AMX, sharing a Redis", "AMX that the kernel refuses", "AVX512-BF16", "AMD", "ARM"],
)
def test_a_cpu_decides_by_its_flags(
    flags: Mapping[str, object],
    usable: bool,
    shared: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: usable)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    with caplog.at_level(logging.INFO):
        assert decide("auto", "cpu", shared) == expected
    assert f"precision {expected}: " in caplog.text
    assert "matrix unit (AMX)" in caplog.text


def test_a_cpu_that_hides_avx2_is_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with caplog.at_level(logging.INFO):
        assert decide("auto", "cpu") == "fp32"
    assert "the CPU shows no AVX2" in caplog.text


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((6, 1), "fp32"), ((7, 5), "fp32"), ((8, 0), "bf16"), ((8, 9), "bf16"), ((12, 0), "bf16")],
)
@pytest.mark.parametrize("shared", [False, True])
def test_a_gpu_decides_by_its_compute_capability(
    capability: tuple[int, int],
    expected: str,
    shared: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    capabilities = {"cuda:1": capability}
    monkeypatch.setattr(torch.cuda, "get_device_capability", capabilities.__getitem__)
    with caplog.at_level(logging.INFO):
        assert decide("auto", "cuda:1", shared) == expected
    assert f"precision {expected}: the GPU's compute capability is {capability[0]}.{capability[1]}" in caplog.text


@pytest.mark.parametrize(
    ("precision", "device"), [("fp32", "cpu"), ("bf16", "cpu"), ("fp32", "cuda"), ("bf16", "cuda"), ("fp16", "cuda")]
)
def test_what_people_ask_for_is_what_they_get(precision: str, device: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert decide(precision, device, shared=True) == precision
    assert f"precision {precision}: as asked for" in caplog.text


def test_float16_is_for_gpus(caplog: pytest.LogCaptureFixture) -> None:
    """On a CPU it is slow, and the tracker's memories, which are bfloat16, cannot be joined under its autocast."""
    with caplog.at_level(logging.INFO):
        assert decide("fp16", "cpu") == "fp32"
    assert "precision fp32: fp16 is asked for, but a CPU multiplies float16 more slowly" in caplog.text


@pytest.mark.parametrize("precision", NUMBERS)
def test_products_are_of_these_numbers(precision: str) -> None:
    assert numbers(precision) is NUMBERS[precision]
    with autocast("cpu", precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is NUMBERS[precision]


@pytest.mark.parametrize(
    ("device", "precision", "products"),
    [("cuda", "bf16", "high"), ("cuda", "fp32", "highest"), ("cpu", "bf16", "highest"), ("cpu", "fp32", "highest")],
)
def test_what_stays_float32_is_rounded_for_products_on_a_gpu_alone(
    cuda: torch.device, device: str, precision: str, products: str
) -> None:
    torch.set_float32_matmul_precision("medium")  # neither
    autocast(device, precision)
    found = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    assert found == products


def _overflows_in(*precisions: str) -> tuple[list[str], Callable[[str], str]]:
    tried: list[str] = []

    def run(precision: str) -> str:
        tried.append(precision)
        if precision in precisions:
            raise FloatingPointError("NaN or Infinity")
        return precision

    return tried, run


def test_what_float16_is_too_small_for_is_computed_again(caplog: pytest.LogCaptureFixture) -> None:
    tried, run = _overflows_in("fp16")
    assert guarded("fp16", run) == "fp32"
    assert tried == ["fp16", "fp32"]
    assert "float16 is too small" in caplog.text


@pytest.mark.parametrize("precision", NUMBERS)
def test_what_fits_is_computed_once(precision: str, caplog: pytest.LogCaptureFixture) -> None:
    tried, run = _overflows_in()
    assert guarded(precision, run) == precision
    assert tried == [precision]
    assert not caplog.text


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_nan_in_other_numbers_is_an_error(precision: str) -> None:
    """Their range is float32's: the weights are to blame."""
    tried, run = _overflows_in(precision)
    with pytest.raises(FloatingPointError):
        guarded(precision, run)
    assert tried == [precision]
