"""The NVIDIA driver and cards that containers on this machine see."""

from collections.abc import Sequence

from promptable.deploy.commands import CONTAINER_SECONDS, ask
from promptable.deploy.console import Console
from promptable.deploy.versions import numbers

_LEAST_DRIVER = (580,)
"""CUDA 13, which the pinned PyTorch brings, needs it."""
_LEAST_CAPABILITY = (7, 5)
"""Compute capability from which the pinned PyTorch has kernels: Turing."""
_PYTHON_IMAGE = "python:3.11-slim-bookworm"


class Gpus:
    """An old driver or card fails at the first request only, so both are asked before."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._cards: Sequence[tuple[str, ...]] = ()

    def check(self) -> None:
        """Report a driver or card that PyTorch cannot use."""
        command = _query()
        if self._console.dry_run:
            self._console.command(command)
            return
        said = ask(*command, seconds=CONTAINER_SECONDS)
        if not said.ok and "compute_cap" in f"{said.out}{said.err}":  # older nvidia-smi do not know it
            self._say_too_old("too old to say what the card can do")
            return
        if not said.ok:
            self._console.problem(
                f"containers do not see the GPU: {said.why}",
                "install the driver and nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure"
                " --runtime=docker && sudo systemctl restart docker; or use --cpu",
            )
            return
        self._cards = [tuple(field.strip() for field in line.split(",")) for line in said.out.splitlines()]
        self._check_driver()
        self._check_capability()

    def free(self) -> dict[str, str]:
        """Each checked card's free memory, in words."""
        return {
            f"GPU {number}": f"{_gib(left)} of {_gib(total)} GB ({name})"
            for number, (_, name, _, total, left) in enumerate(self._cards)
        }

    def _check_driver(self) -> None:
        driver = self._cards[0][0]
        if numbers(driver) < _LEAST_DRIVER:
            self._say_too_old(driver)

    def _say_too_old(self, driver: str) -> None:
        self._console.problem(
            f"the NVIDIA driver is {driver}, and PyTorch with CUDA 13 needs 580",
            "update the driver (ubuntu-drivers install), or use --cpu",
        )

    def _check_capability(self) -> None:
        old = [f"{name} ({capability})" for _, name, capability, *_ in self._cards if _too_old(capability)]
        if not old:
            return
        what = (
            f"PyTorch has no kernels for {', '.join(old)}: it needs compute capability 7.5 or later"
            " (Turing: GTX 16, RTX 20, T4)"
        )
        remedy = "use --cpu, or another card"
        if len(old) == len(self._cards):
            self._console.problem(what, remedy)
        else:
            self._console.warn(f"{what}; {remedy}")


def _query() -> Sequence[str]:
    base = "promptable-base:gpu"
    image = base if ask("docker", "image", "inspect", base).ok else _PYTHON_IMAGE
    query = "--query-gpu=driver_version,name,compute_cap,memory.total,memory.free"
    command = ("docker", "run", "--rm", "--gpus", "all", "--entrypoint", "nvidia-smi", image)
    return *command, query, "--format=csv,noheader,nounits"


def _gib(mebibytes: str) -> str:
    """GiB in words. Of a GPU that shares the machine's memory nvidia-smi says [N/A]."""
    return f"{int(mebibytes) / 1024:.0f}" if mebibytes.isdecimal() else "?"


def _too_old(capability: str) -> bool:
    return numbers(capability) < _LEAST_CAPABILITY
