"""Model folders of the real sizes with random weights, as ``promptable serve --models`` takes them."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from benchmarks.click_models import random_model
from benchmarks.detector import label_names, random_swin_t
from promptable.models.grounding_dino.build import SWIN_T
from promptable.models.sam.build import PRESETS
from promptable.models.sam2.build import official_config

_LABELS = 20


def write_interactor(folder: Path, model: str) -> None:
    """A SAM or SAM 2.1 of an official name, in a new folder."""
    folder.mkdir()
    if model in PRESETS:
        (folder / "config.json").write_text(json.dumps(asdict(PRESETS[model])))
    else:
        shutil.copyfile(official_config(model), folder / "config.yaml")
    _save(random_model(model), folder)


def write_models(folder: Path) -> None:
    """Grounding DINO Swin-T, SAM 2.1 tiny (for interactor and tracker), and a labels.yaml of 20 boxes."""
    write_interactor(folder / "sam2", "sam2.1-tiny")
    (folder / "sam").symlink_to(folder / "sam2")
    (folder / "grounding-dino").mkdir()
    _save(random_swin_t(folder / "grounding-dino"), folder / "grounding-dino")
    (folder / "grounding-dino" / "config.json").write_text(json.dumps(asdict(SWIN_T)))
    (folder / "labels.yaml").write_text("".join(f"- {name}\n" for name in label_names(_LABELS)))


def write_model(name: str, folder: Path) -> None:
    """A SAM of this official name."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(asdict(PRESETS[name])))
    _save(random_model(name), folder)


def _save(model: nn.Module, folder: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}  # some names share theirs
    save_file(tensors, folder / "model.safetensors")
