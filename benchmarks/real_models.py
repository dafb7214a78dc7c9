"""Model folders of the real sizes with random weights, as ``promptable serve`` takes them, written once a run."""

import json
import shutil
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import save_file
from torch import nn

from benchmarks import click_models, detector
from benchmarks.screen import step
from promptable.models.grounding_dino.build import SWIN_T
from promptable.models.sam.build import PRESETS
from promptable.models.sam2.build import official_config

_LABELS = 20


@cache
def interactor(model: str) -> Path:
    """A SAM or SAM 2.1 of an official name."""
    folder = _new(model)
    with step(f"writing {model} with random weights"):
        if model in PRESETS:
            (folder / "config.json").write_text(json.dumps(asdict(PRESETS[model])))
        else:
            shutil.copyfile(official_config(model), folder / "config.yaml")
        _save(click_models.random_model(model), folder)
    return folder


@cache
def grounding_dino() -> Path:
    """Grounding DINO Swin-T."""
    folder = _new("grounding-dino")
    with step("writing Swin-T with random weights"):
        _save(detector.random_model(folder), folder)
        (folder / "config.json").write_text(json.dumps(asdict(SWIN_T)))
    return folder


@cache
def all_functions() -> Path:
    """Grounding DINO Swin-T, SAM 2.1 tiny (for interactor and tracker), and a labels.yaml of 20 boxes."""
    folder = _new("functions")
    (folder / "grounding-dino").symlink_to(grounding_dino())
    for name in ("sam", "sam2"):
        (folder / name).symlink_to(interactor("sam2.1-tiny"))
    (folder / "labels.yaml").write_text("".join(f"- {name}\n" for name in detector.label_names(_LABELS)))
    return folder


def _new(name: str) -> Path:
    folder = Path(_run_folder().name) / name
    folder.mkdir()
    return folder


@cache
def _run_folder() -> "TemporaryDirectory[str]":
    """Removed when the process ends."""
    return TemporaryDirectory(prefix="promptable-bench-")


def _save(model: nn.Module, folder: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}  # some names share theirs
    save_file(tensors, folder / "model.safetensors")
