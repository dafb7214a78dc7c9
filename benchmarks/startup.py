"""How long a function takes to be there, and what memory it then holds, beside upstream's plain way.

Each way runs twice in processes of their own, of which the second counts: by then the files are in the system's cache.
The models have the real sizes and random weights. What is said of memory is that of the process once it has answered
one request: ``resident``; ``private``, which excludes the pages of files that workers share; ``peak``.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, GroundingDinoImageProcessor
from transformers import GroundingDinoProcessor as Processor

from benchmarks.click_models import random_model
from benchmarks.detector import label_names
from benchmarks.measure import save, step
from benchmarks.real_models import write_model, write_models
from benchmarks.tracker_scene import jpeg
from promptable.config import labels
from promptable.config.function_yaml import dump, load
from promptable.models.grounding_dino.text_encoder import load_tokenizer
from promptable.models.runtime import openmp

_ROOT = Path(__file__).parents[1]
_NAMES = {
    "sam2": "sam-interactor, SAM 2.1 tiny",
    "vit_b": "sam-interactor, SAM ViT-B",
    "sam2-video": "sam2-tracker, SAM 2.1 tiny",
    "grounding-dino": "grounding-dino, Swin-T, 20 labels",
}


@dataclass(frozen=True)
class Start:
    """Seconds from the start of a process until it could take a request and until it had answered; megabytes then."""

    model: str
    way: str
    ready: float
    answered: float
    resident: float
    private: float
    peak: float


def run(quick: bool) -> None:
    """Measure function by function; ``quick``: SAM 2.1 alone."""
    print(f"\nstartup\n{'':36}{'':6}{'ready s':>9}{'answer s':>10}{'resident MB':>13}{'private':>9}{'peak':>7}")
    with TemporaryDirectory() as folder:
        with step("models with random weights"):
            _write(Path(folder))
        starts = []
        for start in _starts(["sam2"] if quick else list(_NAMES), Path(folder)):
            print(_line(start), flush=True)
            starts.append(asdict(start))
        save("startup", starts)


def _starts(models: list[str], folder: Path) -> Iterator[Start]:
    for model in models:
        for way in ("plain", "ours"):
            with step(f"{_NAMES[model]}, {way}"):
                _start(model, way, folder)
                start = _start(model, way, folder)
            yield start


def _line(start: Start) -> str:
    seconds = f"{start.ready:9.1f}{start.answered:10.1f}"
    return f"{_NAMES[start.model]:36}{start.way:6}{seconds}{start.resident:13.0f}{start.private:9.0f}{start.peak:7.0f}"


def _start(model: str, way: str, folder: Path) -> Start:
    """One process from its start to its end."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.startup_process", way, model, str(folder)]
    started = perf_counter()
    with subprocess.Popen(  # noqa: S603
        command, env=_environment(model, way, folder), stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as process:
        _line_of(process, "ready")
        ready = perf_counter() - started
        memory = json.loads(_line_of(process, "{"))
        answered = perf_counter() - started
    return Start(model, way, ready, answered, **memory)


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


def _write(folder: Path) -> None:
    """All that both ways read."""
    write_models(folder)
    (folder / "picture.jpg").write_bytes(jpeg(1))
    (folder / "video").mkdir()
    shutil.copyfile(folder / "picture.jpg", folder / "video" / "0.jpg")
    write_model("vit_b", folder / "vit_b")
    torch.save(random_model("vit_b").state_dict(), folder / "vit_b.pth")
    torch.save({"model": random_model("sam2.1-tiny").state_dict()}, folder / "sam2.pt")
    deployed = load(_ROOT / "functions" / "grounding-dino" / "function.yaml")
    config = deployed.with_annotations(spec=labels.render(folder / "labels.yaml"))
    (folder / "processor.yaml").write_text(dump(config))
    _write_for_transformers(folder)


def _write_for_transformers(folder: Path) -> None:
    GroundingDinoForObjectDetection(GroundingDinoConfig()).save_pretrained(folder / "transformers")
    tokenizer = load_tokenizer(folder / "grounding-dino" / "vocab.txt")
    Processor(GroundingDinoImageProcessor(), tokenizer).save_pretrained(folder / "transformers")
    (folder / "caption.txt").write_text(" . ".join(label_names(20)) + " .")
