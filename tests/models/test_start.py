"""What a start need not do: import what nothing uses, and fill what is overwritten."""

import hashlib
import subprocess
import sys
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel

from promptable.models import checksum
from promptable.models.catalogue import WEIGHTS_FILE
from promptable.models.load import load_segmenter
from promptable.models.runtime import initialisation
from promptable.models.weights import ModelFiles, fingerprint, load_weights

TOY = Path(__file__).parents[2] / "toy"
LOAD = """
import sys
from pathlib import Path
from promptable.models import load
load.{loader}({model!r}, Path(), "cpu")
imported = {{name for name in {unused!r} if name in sys.modules}}
assert not imported, imported
"""


@pytest.mark.parametrize(
    ("loader", "model", "unused"),
    [
        ("load_segmenter", "sam2", ["torchvision", "torch._dynamo", "sympy", "matplotlib", "transformers", "timm"]),
        ("load_video_tracker", "sam2", ["torchvision", "torch._dynamo", "sympy", "matplotlib", "transformers"]),
        (
            "load_detector",
            "grounding-dino",
            ["matplotlib", "groundingdino.util.visualizer", "sam2", "segment_anything"],
        ),
    ],
)
def test_only_what_is_used_is_imported_without_a_warning(loader: str, model: str, unused: list[str]) -> None:
    code = LOAD.format(loader=loader, model=str(TOY / model), unused=unused)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert (result.returncode, result.stderr) == (0, "")


def test_no_random_number_is_drawn_for_weights_that_are_loaded() -> None:
    before = torch.get_rng_state()
    with initialisation.left_out():
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Embedding(4, 4), nn.MultiheadAttention(4, 2))
        BertModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    assert torch.equal(torch.get_rng_state(), before)
    nn.Linear(4, 4)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_weights_are_the_pages_of_their_file_which_nothing_changes(tmp_path: Path, name: str) -> None:
    file, model = tmp_path / name, nn.Linear(64, 64)
    (save_file if name.endswith("safetensors") else torch.save)(model.state_dict(), file)
    before = file.read_bytes()
    load_weights(model, ModelFiles("a", tmp_path, file, None, None))
    assert str(file) in Path("/proc/self/maps").read_text()
    with torch.no_grad():
        model.weight.add_(1)
    assert file.read_bytes() == before


def test_weights_are_hashed_once_beside_the_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    digest, hashed = hashlib.file_digest, []

    def noted(file: Any, kind: str) -> Any:
        hashed.append((Path(file.name), current_thread() is main_thread()))
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    checksum._sha256_of.cache_clear()
    load_segmenter(str(TOY / "sam"), TOY, "cpu")
    fingerprint(TOY / "sam" / WEIGHTS_FILE)
    assert hashed == [(TOY / "sam" / WEIGHTS_FILE, False)]
