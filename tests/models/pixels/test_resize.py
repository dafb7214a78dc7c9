"""A GPU's pixels are Pillow's to the byte, so that what models see does not depend on the device."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from groundingdino.datasets.transforms import RandomResize
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from promptable.models.grounding_dino.preprocess import resized
from promptable.models.pixels.resize import resize

HW = {
    "smaller": ((90, 160), (36, 64)),
    "larger": ((17, 23), (64, 87)),
    "to a square": ((54, 96), (64, 64)),
    "higher and narrower": ((30, 90), (61, 47)),
    "half": ((64, 96), (32, 48)),
    "only narrower": ((40, 90), (40, 33)),
    "only lower": ((90, 40), (33, 40)),
    "as it is": ((20, 30), (20, 30)),
    "a tall one, whose height comes first": ((200, 40), (64, 13)),
    "hardly tall enough": ((96, 40), (53, 19)),
    "not quite tall enough": ((96, 40), (53, 18)),
    "wider and lower": ((30, 20), (29, 40)),
    "a thousand to one": ((3, 3000), (1, 3)),
    "a single pixel": ((1, 1), (5, 7)),
}

RESIZED = """
import sys
from pathlib import Path
import numpy as np
import torch
from promptable.models.grounding_dino.preprocess import resized

assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"
folder = Path(sys.argv[1])
np.save(folder / "resized.npy", resized(np.load(folder / "picture.npy"), 80, 300).numpy())
"""


def picture(hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Noise, half of it black and white, so that cubic curves leave what a byte can hold."""
    random = np.random.default_rng(hw)
    noise = random.integers(0, 256, (*hw, 3), np.uint8)
    return np.where(random.random((*hw, 1)) < 0.5, noise, noise // 128 * 255).astype(np.uint8)


@pytest.mark.parametrize("kernel", [Resampling.BILINEAR, Resampling.BICUBIC])
@pytest.mark.parametrize(("before", "after"), HW.values(), ids=HW.keys())
def test_a_gpu_makes_the_bytes_of_pillow(
    cuda: torch.device, before: tuple[int, int], after: tuple[int, int], kernel: Resampling
) -> None:
    image = picture(before)
    expected = np.asarray(Image.fromarray(image).resize(after[::-1], kernel))
    for device in (torch.device("cpu"), cuda):
        found = resize(image, after, kernel, device)
        assert found.device.type == device.type
        np.testing.assert_array_equal(found.cpu().numpy(), expected)


def test_a_part_of_a_picture(cuda: torch.device) -> None:
    """As tiles are."""
    image = picture((40, 60))[5:35, 10:50]
    expected = np.asarray(Image.fromarray(image).resize((16, 12), Resampling.BILINEAR))
    np.testing.assert_array_equal(resize(image, (12, 16), Resampling.BILINEAR, cuda).cpu().numpy(), expected)


@pytest.mark.parametrize("hw", [(90, 160), (400, 100), (50, 70), (160, 240), (80, 200), (1500, 1000)])
def test_grounding_dino_sees_the_same_bytes_on_a_cpu_and_a_gpu(cuda: torch.device, hw: tuple[int, int]) -> None:
    """They are nearly those that upstream shows it, by Pillow."""
    image = picture(hw)
    found = resized(image, 80, 300)
    assert torch.equal(resized(image, 80, 300, cuda).cpu(), found)
    upstream, _ = RandomResize([80], max_size=300)(Image.fromarray(image), None)
    assert np.abs(found.numpy().astype(int) - np.asarray(upstream).transpose(2, 0, 1)).max() <= 1


def test_grounding_dino_sees_the_same_bytes_on_a_cpu_without_avx2(tmp_path: Path) -> None:
    """As in virtual machines that hide AVX2. There PyTorch resizes in floats: 1 byte of 6 would be another."""
    image = picture((90, 160))
    np.save(tmp_path / "picture.npy", image)
    subprocess.run(  # noqa: S603
        [sys.executable, "-c", RESIZED, str(tmp_path)], env={**os.environ, "ATEN_CPU_CAPABILITY": "default"}, check=True
    )
    np.testing.assert_array_equal(np.load(tmp_path / "resized.npy"), resized(image, 80, 300).numpy())
