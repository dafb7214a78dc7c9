"""How long a function takes to be there, and what memory it then holds, beside upstream's plain way.

Each way runs twice in processes of their own, taking turns; the start that was ready sooner counts, since the other may
have found files that were not in the system's cache. The models have the real sizes and random weights. What is said of
memory is that of the process once it has answered one request: ``resident``; ``private``, which excludes the pages of
files that workers share; ``peak``.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from safetensors.torch import load_file
from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, GroundingDinoImageProcessor
from transformers import GroundingDinoProcessor as Processor

from benchmarks import real_models
from benchmarks.detector import label_names
from benchmarks.measure import Measurement, Row, beside
from benchmarks.screen import step
from benchmarks.tracker_scene import jpeg
from promptable.config import labels
from promptable.config.function_yaml import dump, load
from promptable.models.cores import openmp
from promptable.models.grounding_dino.text_encoder import load_tokenizer

_ROOT = Path(__file__).parents[1]
_STARTS = 2
_LABELS = 20
_NAMES = {
    "sam2": "sam-interactor, SAM 2.1 tiny",
    "vit_b": "sam-interactor, SAM ViT-B",
    "sam2-video": "sam2-tracker, SAM 2.1 tiny",
    "grounding-dino": "grounding-dino, Swin-T, 20 labels",
}


@dataclass(frozen=True)
class Start:
    """Seconds from the start of a process until it could take a request and until it had answered; megabytes then."""

    ready: float
    answered: float
    megabytes: Mapping[str, float]

    def memory(self, whose: str) -> dict[str, float]:
        """As figures of a row."""
        return {f"{whose} {what} MB": held for what, held in self.megabytes.items()}


def measurements(quick: bool) -> list[Measurement]:
    """Function by function; ``quick``: SAM 2.1 alone."""
    models = ["sam2"] if quick else list(_NAMES)
    return [Measurement(_NAMES[model], partial(_rows, model), rows=2) for model in models]


def _rows(model: str) -> list[Row]:
    with TemporaryDirectory() as folder:
        _write(model, Path(folder))
        starts = [[_start(model, way, Path(folder)) for way in ("plain", "ours")] for _ in range(_STARTS)]
    plain, ours = (min(each, key=attrgetter("ready")) for each in zip(*starts, strict=True))
    memory = plain.memory("plain") | ours.memory("our")
    return [
        beside(f"{_NAMES[model]}, ready", plain.ready, ours.ready),
        beside(f"{_NAMES[model]}, first answer", plain.answered, ours.answered, memory),
    ]


def _start(model: str, way: str, folder: Path) -> Start:
    """One process from its start to its end."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.startup_process", way, model, str(folder)]
    started = perf_counter()
    with (
        step(way),
        subprocess.Popen(  # noqa: S603
            command, env=_environment(model, way, folder), stdout=subprocess.PIPE, text=True, cwd=_ROOT
        ) as process,
    ):
        _line_of(process, "ready")
        ready = perf_counter() - started
        megabytes = json.loads(_line_of(process, "{"))
        answered = perf_counter() - started
    return Start(ready, answered, megabytes)


def _line_of(process: "subprocess.Popen[str]", beginning: str) -> str:
    """The process's next line that begins so; packages print their own between."""
    for line in process.stdout or ():
        if line.startswith(beginning):
            return line
    raise RuntimeError(f"the process ended with {process.wait()} before it printed {beginning!r}")


def _environment(model: str, way: str, folder: Path) -> Mapping[str, str]:
    if way == "plain":
        return os.environ
    name = {"sam2-video": "sam2"}.get(model, model)
    ours = {"PROMPTABLE_MODEL": str(folder / name), "PROMPTABLE_FUNCTION_CONFIG": str(folder / "processor.yaml")}
    return {**os.environ, **openmp.ENVIRONMENT, **ours}


def _write(model: str, folder: Path) -> None:
    """All that both ways read."""
    (folder / "picture.jpg").write_bytes(jpeg(1))
    if model == "grounding-dino":
        (folder / model).symlink_to(real_models.grounding_dino())
        _write_labels(folder)
        _write_for_transformers(folder)
    elif model == "vit_b":
        (folder / model).symlink_to(real_models.interactor(model))
        torch.save(load_file(folder / model / "model.safetensors"), folder / "vit_b.pth")
    else:
        (folder / "sam2").symlink_to(real_models.interactor("sam2.1-tiny"))
        torch.save({"model": load_file(folder / "sam2" / "model.safetensors")}, folder / "sam2.pt")
        (folder / "video").mkdir()
        shutil.copyfile(folder / "picture.jpg", folder / "video" / "0.jpg")


def _write_labels(folder: Path) -> None:
    (folder / "labels.yaml").write_text("".join(f"- {name}\n" for name in label_names(_LABELS)))
    deployed = load(_ROOT / "functions" / "grounding-dino" / "function.yaml")
    config = deployed.with_annotations(spec=labels.render(folder / "labels.yaml"))
    (folder / "processor.yaml").write_text(dump(config))


def _write_for_transformers(folder: Path) -> None:
    GroundingDinoForObjectDetection(GroundingDinoConfig()).save_pretrained(folder / "transformers")
    tokenizer = load_tokenizer(folder / "grounding-dino" / "vocab.txt")
    Processor(GroundingDinoImageProcessor(), tokenizer).save_pretrained(folder / "transformers")
    (folder / "caption.txt").write_text(" . ".join(label_names(_LABELS)) + " .")
