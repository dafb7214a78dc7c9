"""From a model's name to the model, by what the catalogue says of its family."""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from promptable.models import catalogue
from promptable.models.catalogue import Family, Task
from promptable.models.checksum import read_meanwhile
from promptable.models.detection.detector import Detector
from promptable.models.errors import ModelError
from promptable.models.runtime.memory import give_back_freed_memory
from promptable.models.sam2.track_memory import TrackMemory
from promptable.models.segmentation.segmenter import Segmenter
from promptable.models.weights import locate

if TYPE_CHECKING:
    from promptable.models.sam2.video_tracker import VideoTracker

_DRAWINGS = "groundingdino.util.visualizer", "COCOVisualizer"
"""What Grounding DINO's package imports and nothing here calls: with matplotlib it takes a second and 40 MB."""


def load_detector(
    model: str, weights_dir: Path, device: str, precision: str = "fp32", cuda_graphs: bool = False
) -> Detector:
    """The text-prompted detector of an official name or a model folder (``weights.locate``), on a resolved device.

    ``precision`` is decided (``models.runtime.precision``); ``cuda_graphs`` mean nothing on a CPU.
    Raises FileNotFoundError where a file is missing, with the remedy, ModelError for a model of another task or files
    that do not fit together.
    """
    detector: Detector = _load(Task.DETECTION, model, weights_dir, device, precision, cuda_graphs=cuda_graphs)
    return detector


def default_threshold(model: str, weights_dir: Path) -> float:
    """The score from which on a detector's boxes count, if nobody says another: its family's.

    Raises FileNotFoundError and ModelError as ``load_detector``.
    """
    return _family(Task.DETECTION, model, weights_dir).threshold


def load_segmenter(
    model: str, weights_dir: Path, device: str, precision: str = "fp32", cuda_graphs: bool = False
) -> Segmenter:
    """The promptable segmenter of a name or a folder, as ``load_detector``."""
    segmenter: Segmenter = _load(Task.SEGMENTATION, model, weights_dir, device, precision, cuda_graphs=cuda_graphs)
    return segmenter


def load_video_tracker(
    model: str,
    weights_dir: Path,
    device: str,
    precision: str = "fp32",
    memory: TrackMemory = TrackMemory.ALL,
    cuda_graphs: bool = False,
) -> "VideoTracker":
    """The tracker of a name or a folder, as ``load_detector``; ``memory`` says which frames it remembers."""
    tracker: VideoTracker = _load(
        Task.TRACKING, model, weights_dir, device, precision, cuda_graphs=cuda_graphs, memory=memory
    )
    return tracker


def _load(task: Task, model: str, weights_dir: Path, device: str, precision: str, **options: Any) -> Any:
    family = _family(task, model, weights_dir)
    with _without_packages_warnings():
        with _left_out(*_DRAWINGS), read_meanwhile(locate(model, weights_dir).weights):
            adapter = import_module(family.adapters[task])
        loaded = adapter.load(model, weights_dir, device, precision, **options)
    if device != "cpu":
        give_back_freed_memory()
    return loaded


@contextmanager
def _without_packages_warnings() -> Iterator[None]:
    """Inside, the model packages do not warn of their own use of others, about which nobody here can do anything."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Importing from timm", FutureWarning)
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        yield


@contextmanager
def _left_out(module: str, name: str) -> Iterator[None]:
    """Inside, this module counts as imported, and holds nothing but ``Any`` under this name."""
    placeholder = ModuleType(module)
    setattr(placeholder, name, Any)
    found = sys.modules.setdefault(module, placeholder)
    try:
        yield
    finally:
        if found is placeholder:
            del sys.modules[module]


def _family(task: Task, model: str, weights_dir: Path) -> Family:
    """The family of a model for this task; a folder's is told by its configuration file."""
    for family in _families(model, weights_dir):
        if task in family.adapters:
            return family
    official = ", ".join(catalogue.names(task))
    raise ModelError(f"{model!r} is no model for {task}: expected one of {official}, or a folder of such a model")


def _families(model: str, weights_dir: Path) -> list[Family]:
    if model in catalogue.OFFICIAL:
        return [catalogue.OFFICIAL[model].family]
    config = locate(model, weights_dir).config
    if config is None:
        return []
    said = config.name, _model_type(config)
    known = (checkpoint.family for checkpoint in catalogue.OFFICIAL.values())
    return [family for family in known if (family.config, family.model_type) == said]


def _model_type(config: Path) -> str:
    """What transformers writes into the configurations of its models; empty for others."""
    if config.suffix != ".json":
        return ""
    try:
        loaded = json.loads(config.read_text())
    except ValueError as error:
        raise ModelError(f"{config} is no JSON: {error}") from None
    if not isinstance(loaded, dict):
        raise ModelError(f"{config} is no JSON object: {loaded!r}")
    return str(loaded.get("model_type", ""))
