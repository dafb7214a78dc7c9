"""Settings of the functions: read from the environment once, checked, then frozen."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from promptable.models.catalogue import AUTO
from promptable.models.segmentation.extent import Extent
from promptable.wire.interactor import AnswerForm


class SettingsError(ValueError):
    """A variable's value is not accepted: the message names the variable, the accepted values and the value."""


@dataclass(frozen=True)
class Kind:
    """How a variable's text becomes a value: ``parse`` raises where it cannot; ``accepts``, in words, what it takes."""

    accepts: str
    parse: Callable[[str], Any]


def _number(low: float, high: float, convert: Callable[[str], float]) -> Kind:
    def parse(text: str) -> float:
        value = convert(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return Kind(f"{'an integer' if convert is int else 'a number'} from {low:g} to {high:g}", parse)


def _tile_size(text: str) -> int:
    size = int(text)
    if size != 0 and not _LEAST_TILE <= size <= _LARGEST_TILE:
        raise ValueError(text)
    return size


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ValueError(text)
    return text


def _precision(text: str) -> str:
    if text not in ("auto", "fp32", "bf16"):
        raise ValueError(text)
    return text


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _content(path: str) -> str:
    return Path(path).read_text().strip()


class OnFailure(StrEnum):
    """What the detector answers for a picture that it cannot decode or has no memory for."""

    ERROR = "error"
    TAG = "tag"


def _setting(variable: str, kind: Kind, default: Any, meaning: str, shown: bool = True) -> Any:
    return field(default=default, repr=shown, metadata={"variable": variable, "kind": kind, "meaning": meaning})


_LEAST_TILE, _LARGEST_TILE = 64, 100_000
_TEXT = Kind("a text", str)
_PATH = Kind("a path", Path)
_DEVICE = Kind("auto, cpu, cuda or cuda:N", _device)
_PRECISION = Kind("auto, fp32 or bf16", _precision)
_MEGABYTES = _number(0, 1_000_000, int)
_AREA = _number(0, 1_000_000_000, int)
_PORT = _number(1, 65_535, int)
_FLAG = Kind("true or false", _flag)
_SECRET_FILE = Kind("a readable file", _content)


@dataclass(frozen=True)
class CommonSettings:
    """What all three functions share."""

    model: str = _setting("PROMPTABLE_MODEL", _TEXT, "", "official model name, or a folder with a model of your own")
    weights_dir: Path = _setting(
        "PROMPTABLE_WEIGHTS", _PATH, Path("/opt/promptable/weights"), "folder of the official checkpoints"
    )
    device: str = _setting(
        "PROMPTABLE_DEVICE", _DEVICE, "auto", "where the model runs; auto takes the GPU if there is one"
    )
    precision: str = _setting(
        "PROMPTABLE_PRECISION",
        _PRECISION,
        "auto",
        "numbers of the model's matrix products; auto: bf16 on a GPU, else fp32",
    )
    max_megapixels: float = _setting(
        "PROMPTABLE_MAX_MEGAPIXELS", _number(0.001, 1000, float), 100.0, "larger pictures are refused"
    )
    feature_cache_mb: int = _setting(
        "PROMPTABLE_FEATURE_CACHE_MB", _MEGABYTES, 1024, "memory for the image features of recent pictures"
    )
    polygon_tolerance: float = _setting(
        "PROMPTABLE_POLYGON_TOLERANCE",
        _number(0, 100, float),
        1.0,
        "how far a polygon may leave its mask's edge, in pixels",
    )


@dataclass(frozen=True)
class DetectorSettings(CommonSettings):
    """Settings of functions/grounding-dino."""

    model: str = _setting("PROMPTABLE_MODEL", _TEXT, "swin-t", "swin-t, swin-b, or a model folder")
    threshold: float = _setting(
        "PROMPTABLE_THRESHOLD", _number(0, 1, float), 0.35, "confidence threshold where request and label have none"
    )
    review_threshold: float = _setting(
        "PROMPTABLE_REVIEW_THRESHOLD", _number(0, 1, float), 0.45, "below it a detection is marked for review"
    )
    nms_iou: float = _setting(
        "PROMPTABLE_NMS_IOU", _number(0, 1, float), 0.6, "of two boxes of a label that overlap more, the weaker goes"
    )
    cross_label_nms_iou: float = _setting(
        "PROMPTABLE_CROSS_LABEL_NMS_IOU",
        _number(0, 1, float),
        1.0,
        "the same whatever the labels; 1 lets an object have several",
    )
    max_box_area: float = _setting(
        "PROMPTABLE_MAX_BOX_AREA", _number(0.01, 1, float), 0.95, "larger shares of the picture are no objects but tags"
    )
    max_detections: int = _setting(
        "PROMPTABLE_MAX_DETECTIONS", _number(1, 10_000, int), 300, "the most shapes for one picture, strongest first"
    )
    tile_size: int = _setting(
        "PROMPTABLE_TILE_SIZE",
        Kind(f"0 or an integer from {_LEAST_TILE} to {_LARGEST_TILE}", _tile_size),
        0,
        "side of the tiles to look at, in pixels; 0 for none",
    )
    tile_overlap: float = _setting(
        "PROMPTABLE_TILE_OVERLAP", _number(0, 0.9, float), 0.25, "share of a tile that its neighbour has too"
    )
    tile_whole: bool = _setting(
        "PROMPTABLE_TILE_WHOLE", _FLAG, True, "whether to look at the whole picture beside its tiles"
    )
    max_tiles: int = _setting(
        "PROMPTABLE_MAX_TILES", _number(1, 10_000, int), 100, "the most tiles for one picture: larger ones where more"
    )
    cpu_fallback: bool = _setting(
        "PROMPTABLE_CPU_FALLBACK", _FLAG, False, "whether a picture that the GPU has no memory for goes to the CPU"
    )
    on_failure: OnFailure = _setting(
        "PROMPTABLE_ON_FAILURE",
        Kind(" or ".join(OnFailure), OnFailure),
        OnFailure.ERROR,
        "what a picture that cannot be answered gets: an error, or the tag of the label that marks failure",
    )
    mask_model: str = _setting(
        "PROMPTABLE_MASK_MODEL", _TEXT, "vit_b", "SAM or SAM 2.1 model behind labels of type mask and polygon"
    )
    function_config: Path = _setting(
        "PROMPTABLE_FUNCTION_CONFIG",
        _PATH,
        Path("/etc/nuclio/config/processor/processor.yaml"),
        "deployed Nuclio configuration that holds the labels",
    )


@dataclass(frozen=True)
class InteractorSettings(CommonSettings):
    """Settings of functions/sam-interactor."""

    model: str = _setting(
        "PROMPTABLE_MODEL", _TEXT, AUTO, "a SAM or SAM 2.1 model, a model folder, or auto: SAM 2.1 to suit the device"
    )
    answer_form: AnswerForm = _setting(
        "PROMPTABLE_ANSWER_FORM",
        Kind(" or ".join(AnswerForm), AnswerForm),
        AnswerForm.SHAPES,
        "shapes for CVAT 2.62 and later, mask for older",
    )
    click_means: Extent = _setting(
        "PROMPTABLE_CLICK_MEANS",
        Kind(", ".join(Extent), Extent),
        Extent.BEST,
        "which of the model's candidates one lone click takes: the best by its score, the largest or the smallest",
    )
    fill_holes: int = _setting("PROMPTABLE_FILL_HOLES", _AREA, 0, "holes of up to so many pixels are filled")
    remove_specks: int = _setting("PROMPTABLE_REMOVE_SPECKS", _AREA, 0, "parts of up to so many pixels are removed")
    largest_part_only: bool = _setting(
        "PROMPTABLE_LARGEST_PART_ONLY", _FLAG, False, "whether only the largest part stays"
    )
    smooth_edges: float = _setting(
        "PROMPTABLE_SMOOTH_EDGES", _number(0, 100, float), 0.0, "deviation of the blur that smooths edges, in pixels"
    )


@dataclass(frozen=True)
class TrackerSettings(CommonSettings):
    """Settings of functions/sam2-tracker."""

    model: str = _setting("PROMPTABLE_MODEL", _TEXT, "sam2.1-large", "a SAM 2.1 model, or a model folder")
    store_mb: int = _setting(
        "PROMPTABLE_STORE_MB", _MEGABYTES, 4096, "memory for what the tracker remembers of objects"
    )


@dataclass(frozen=True)
class RedisSettings:
    """The Redis that replicas share; without a host there is none.

    Host, port and password have the names that CVAT's own deploy scripts and documentation give them.
    """

    host: str = _setting("CVAT_FUNCTIONS_REDIS_HOST", _TEXT, "", "a Redis that replicas share; none without it")
    port: int = _setting("CVAT_FUNCTIONS_REDIS_PORT", _PORT, 6379, "its port")
    password: str = _setting("CVAT_FUNCTIONS_REDIS_PASSWORD", _TEXT, "", "its password", shown=False)
    password_from_file: str = _setting(
        "CVAT_FUNCTIONS_REDIS_PASSWORD_FILE", _SECRET_FILE, "", "a file that holds its password", shown=False
    )
    tls: bool = _setting("CVAT_FUNCTIONS_REDIS_TLS", _FLAG, False, "whether to speak TLS to it")
    ca_file: Path | None = _setting(
        "CVAT_FUNCTIONS_REDIS_CA_FILE", _PATH, None, "the authority that signed its certificate; else the system's"
    )


S = TypeVar("S", bound=CommonSettings | RedisSettings)


def read(settings: type[S], environ: Mapping[str, str] = os.environ) -> S:
    """Settings from the environment; an unset or empty variable means its default. Raises SettingsError."""
    given = {f.name: _parse(f, text) for f in fields(settings) if (text := environ.get(f.metadata["variable"], ""))}
    return settings(**given)


def _parse(setting: "Field[Any]", text: str) -> Any:
    kind: Kind = setting.metadata["kind"]
    try:
        return kind.parse(text)
    except (ValueError, KeyError, OSError):
        raise SettingsError(f"{setting.metadata['variable']}: expected {kind.accepts}, got {text!r}") from None
