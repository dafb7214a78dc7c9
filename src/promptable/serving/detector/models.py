"""The models behind the detector's answers: a text-prompted detector, and a segmenter where labels need masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from promptable.config.labels import Label, LabelType
from promptable.config.settings import DetectorSettings
from promptable.models.cores.threads import choose_threads
from promptable.models.detection.detector import Detector
from promptable.models.load import default_threshold, load_detector, load_segmenter
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.runtime.precision import decide
from promptable.models.segmentation.segmenter import Segmenter
from promptable.models.weights import fingerprint, locate

MASKED = (LabelType.MASK, LabelType.POLYGON)
"""The types of label that need a segmenter."""


@dataclass(frozen=True)
class Models:
    """The models on one ``device``.

    ``segmenter`` returns the segmenter, which is loaded at the first call: only labels of type mask or polygon need it.
    ``threshold`` is the detector's default threshold. ``fallback`` returns the same models on the CPU, for a picture
    that needs more memory than the GPU has; it is None if the settings do not allow that. ``name`` identifies the
    detector by its model name and the fingerprint of its weights and configuration.
    """

    detector: Detector
    segmenter: Callable[[], Segmenter]
    device: str
    threshold: float
    fallback: "Callable[[], Models] | None" = None
    name: str = ""


def load_models(settings: DetectorSettings, labels: Sequence[Label]) -> Models:
    """The models on the device of the settings, with a ``fallback`` to the CPU if the settings allow it."""
    keep_freed_memory()
    where = device.resolve(settings.device)
    needs_masks = any(label.type in MASKED for label in labels)
    if where == "cpu":
        names = [settings.model, *([settings.mask_model] if needs_masks else [])]
        choose_threads([locate(name, settings.weights_dir).weights for name in names])
    cpu = cache(partial(_load_on, settings, "cpu")) if settings.cpu_fallback and where != "cpu" else None
    models = replace(_load_on(settings, where), fallback=cpu)
    if needs_masks:
        models.segmenter()
    return models


def _load_on(settings: DetectorSettings, where: str) -> Models:
    source = settings.weights_dir, where, decide(settings.precision, where), settings.cuda_graphs
    detector = load_detector(settings.model, *source)
    segmenter = cache(partial(load_segmenter, settings.mask_model, *source))
    threshold = default_threshold(settings.model, settings.weights_dir)
    files = locate(settings.model, settings.weights_dir)
    name = f"{settings.model} {fingerprint(files.weights, files.config)}"
    return Models(detector, segmenter, where, threshold, name=name)
