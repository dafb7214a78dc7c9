"""Containers may run under a user id that has no name, as in OpenShift or with ``runAsUser``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCKERFILE = Path(__file__).parents[2] / "docker" / "Dockerfile"
_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME", "TORCHINDUCTOR_CACHE_DIR")
"""From the first four Python takes a user's name before it looks the id up; the last PyTorch sets once it knows."""
_CODE = """
import os
os.getuid = lambda: 4242
import torch._dynamo, torchvision
"""


def _environment(of_the_image: bool) -> dict[str, str]:
    lines = re.findall(r"^ENV (.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    set_there = dict(pair.split("=", 1) for line in lines for pair in line.split()) if of_the_image else {}
    return {name: value for name, value in os.environ.items() if name not in _NAMES} | set_there


@pytest.mark.parametrize("of_the_image", [True, False])
def test_models_are_loaded_by_a_user_without_a_name(of_the_image: bool) -> None:
    """PyTorch names a cache after the user, unless it is told where to write."""
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _CODE], env=_environment(of_the_image), capture_output=True, text=True
    )
    assert (process.returncode == 0) == of_the_image, process.stderr
    assert ("uid not found: 4242" in process.stderr) != of_the_image
