"""The settings of the functions, frozen. ``config.environment`` reads them; ``make docs`` writes docs/settings.md from
them."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from promptable.config.nuclio import FunctionType
from promptable.config.validation import Takes, between
from promptable.models.catalogue import AUTO
from promptable.models.sam2.track_memory import TrackMemory
from promptable.models.segmentation.extent import Extent
from promptable.wire.answer_form import AnswerForm


class OnFailure(StrEnum):
    """What the detector answers for a picture that it cannot decode or has no memory for."""

    ERROR = "error"
    TAG = "tag"


class OnExpired(StrEnum):
    """What the tracker answers to a state whose memory is no longer kept."""

    ERROR = "error"
    RESTART = "restart"


def _tile_fits(size: int) -> bool:
    return size == 0 or _LEAST_TILE <= size <= _LARGEST_TILE


def _is_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def _content(path: str) -> str:
    """The password in a file. Raises ValueError for a file that cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(error.strerror) from None


def _setting(variable: str, default: Any, meaning: str, *, shown: bool = True) -> Any:
    """A field that comes from this environment variable; ``meaning`` is its line in docs/settings.md."""
    return Field(default, alias=variable, description=meaning, repr=shown)


_LEAST_TILE, _LARGEST_TILE = 64, 100_000
Model = Annotated[str, Takes("an official model, or a folder")]
Text = Annotated[str, Takes("a text")]
File = Annotated[Path, Takes("a path")]
Flag = Annotated[bool, Takes("true or false")]
Share = Annotated[float, between(0, 1)]
Threshold = Annotated[
    Literal["auto"] | float, Takes("auto or a number from 0 to 1", lambda value: value == AUTO or 0 <= value <= 1)
]
Host = Annotated[str, Takes("a host's name or address", _is_host)]
Device = Annotated[str, Takes("auto, cpu, cuda or cuda:N", re.compile(r"auto|cpu|cuda(:[0-9]+)?").fullmatch)]
Precision = Annotated[str, Takes("auto, fp32, bf16 or fp16", ("auto", "fp32", "bf16", "fp16").__contains__)]
Megabytes = Annotated[int, between(0, 1_000_000, "an integer")]
Area = Annotated[int, between(0, 1_000_000_000, "an integer")]
Pixels = Annotated[float, between(0, 100)]
Port = Annotated[int, between(1, 65_535, "an integer")]
TileSize = Annotated[int, Takes(f"0 or an integer from {_LEAST_TILE} to {_LARGEST_TILE}", _tile_fits)]
SecretFile = Annotated[str, AfterValidator(_content), Takes("a readable file")]


class Settings(BaseModel):
    """Settings by their names in Python; their aliases are the environment's variables, whose values are texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


class CommonSettings(Settings):
    """What all three functions share."""

    weights_dir: File = _setting(
        "PROMPTABLE_WEIGHTS",
        Path("/opt/promptable/weights"),
        "Folder of the official checkpoints; under `promptable serve` and with `--local` its default is `weights`,"
        " where `promptable download` puts them",
    )
    device: Device = _setting("PROMPTABLE_DEVICE", "auto", "Where the model runs; `auto`: the GPU if there is one")
    precision: Precision = _setting(
        "PROMPTABLE_PRECISION",
        "auto",
        "`fp32`: the numbers of upstream; `bf16`: nearly the same, several times faster where the hardware multiplies"
        " it; `fp16`: as `bf16`, for GPUs before Ampere, on a CPU `fp32`; `auto`: `bf16` on a GPU from Ampere on and on"
        " a CPU with AMX that shares no Redis, else `fp32`",
    )
    cuda_graphs: Flag = _setting(
        "PROMPTABLE_CUDA_GRAPHS",
        True,
        "Whether a GPU starts the parts of a model as CUDA graphs: faster, for some of its memory, see"
        " [optimisations.md](internals/optimisations.md#cuda-graphs)",
    )
    max_megapixels: Annotated[float, between(0.001, 1000)] = _setting(
        "PROMPTABLE_MAX_MEGAPIXELS", 100.0, "Larger pictures are refused before they are decoded"
    )
    feature_cache_mb: Megabytes = _setting(
        "PROMPTABLE_FEATURE_CACHE_MB", 1024, "Memory for the image features of recent pictures, found again by content"
    )
    polygon_tolerance: Pixels = _setting(
        "PROMPTABLE_POLYGON_TOLERANCE", 1.0, "How far a polygon may leave its mask's edge, in pixels; 0 is exact"
    )


class MaskSettings(CommonSettings):
    """How masks are cleaned before they are answered, as boxes and polygons too."""

    fill_holes: Area = _setting("PROMPTABLE_FILL_HOLES", 0, "Holes of up to so many pixels are filled")
    remove_specks: Area = _setting(
        "PROMPTABLE_REMOVE_SPECKS", 0, "Parts of up to so many pixels are removed; the largest always stays"
    )
    largest_part_only: Flag = _setting("PROMPTABLE_LARGEST_PART_ONLY", False, "Whether only the largest part stays")
    smooth_edges: Pixels = _setting(
        "PROMPTABLE_SMOOTH_EDGES", 0.0, "Edges are smoothed by a blur of this deviation, in pixels; 0 leaves them"
    )


class DetectorSettings(MaskSettings):
    """Settings of functions/grounding-dino."""

    model: Model = _setting(
        "PROMPTABLE_MODEL", "swin-t", "A detector of [models.md](models.md), or a folder with a model of your own"
    )
    threshold: Threshold = _setting(
        "PROMPTABLE_THRESHOLD",
        AUTO,
        "Confidence threshold where request and label have none; `auto`: that of the model ([models.md](models.md))",
    )
    review_threshold: Share = _setting(
        "PROMPTABLE_REVIEW_THRESHOLD", 0.45, "A detection below it has its attribute `review` ticked"
    )
    nms_iou: Share = _setting("PROMPTABLE_NMS_IOU", 0.6, "Of two boxes of a label that overlap more, the weaker goes")
    cross_label_nms_iou: Share = _setting(
        "PROMPTABLE_CROSS_LABEL_NMS_IOU", 1.0, "The same whatever the labels; 1 lets one object have several labels"
    )
    max_box_area: Annotated[float, between(0.01, 1)] = _setting(
        "PROMPTABLE_MAX_BOX_AREA", 0.95, "Shapes that take a larger share of the picture are dropped (tags are not)"
    )
    max_detections: Annotated[int, between(1, 10_000, "an integer")] = _setting(
        "PROMPTABLE_MAX_DETECTIONS", 300, "The most shapes for one picture, strongest first"
    )
    tile_size: TileSize = _setting(
        "PROMPTABLE_TILE_SIZE", 0, "Side of the tiles to look at for small objects, in pixels; 0 for none"
    )
    tile_overlap: Annotated[float, between(0, 0.9)] = _setting(
        "PROMPTABLE_TILE_OVERLAP",
        0.25,
        "Share of a tile that its neighbour has too; the objects to find must fit into it",
    )
    tile_whole: Flag = _setting(
        "PROMPTABLE_TILE_WHOLE", True, "Whether to look at the whole picture too, for larger things"
    )
    max_tiles: Annotated[int, between(1, 10_000, "an integer")] = _setting(
        "PROMPTABLE_MAX_TILES",
        100,
        "The most tiles for one picture, each a run of the model within `eventTimeout`; one that would take more gets"
        " larger tiles, and a line in the log",
    )
    cpu_fallback: Flag = _setting(
        "PROMPTABLE_CPU_FALLBACK", False, "Whether a picture that the GPU has no memory for goes to the CPU"
    )
    on_failure: Annotated[OnFailure, Takes(" or ".join(OnFailure))] = _setting(
        "PROMPTABLE_ON_FAILURE",
        OnFailure.ERROR,
        "A picture that cannot be answered gets an `error`, or the `tag` of a label that marks failure",
    )
    mask_model: Model = _setting(
        "PROMPTABLE_MASK_MODEL", "vit_b", "SAM or SAM 2.1 model behind labels of type mask and polygon"
    )
    function_config: File = _setting(
        "PROMPTABLE_FUNCTION_CONFIG",
        Path("/etc/nuclio/config/processor/processor.yaml"),
        "The deployed configuration that holds the labels, which Nuclio writes",
    )


class InteractorSettings(MaskSettings):
    """Settings of functions/sam-interactor."""

    model: Model = _setting(
        "PROMPTABLE_MODEL",
        AUTO,
        "A SAM or SAM 2.1 model, a folder with a model of your own, or `auto`: `sam2.1-large` on a GPU, `sam2.1-tiny`"
        " on a CPU",
    )
    answer_form: Annotated[AnswerForm, Takes(" or ".join(AnswerForm))] = _setting(
        "PROMPTABLE_ANSWER_FORM", AnswerForm.SHAPES, "`shapes` for CVAT 2.60 and later, `mask` for older"
    )
    click_means: Annotated[Extent, Takes(", ".join(Extent))] = _setting(
        "PROMPTABLE_CLICK_MEANS",
        Extent.BEST,
        "Of a single click's candidates `best` takes the one that the model scores highest, `whole` the largest,"
        " `part` the smallest",
    )


class TrackerSettings(MaskSettings):
    """Settings of functions/sam2-tracker."""

    model: Model = _setting("PROMPTABLE_MODEL", "sam2.1-large", "A SAM 2.1 model, or a folder with a model of your own")
    store_mb: Megabytes = _setting(
        "PROMPTABLE_STORE_MB",
        4096,
        "Memory for what it remembers of objects: 3.7 MB each, and 0.52 MB for each of their frames in the last 5"
        " minutes",
    )
    track_memory: Annotated[TrackMemory, Takes(", ".join(TrackMemory))] = _setting(
        "PROMPTABLE_TRACK_MEMORY",
        TrackMemory.ALL,
        "Which frames it remembers: `all` the last ones, as SAM 2; `visible` those that surely show the object;"
        " `distractor` beside those some that show it next to something alike",
    )
    box_parts: Share = _setting(
        "PROMPTABLE_BOX_PARTS",
        0.05,
        "A box is drawn around the parts of a mask that have at least this share of the largest's area; 0 takes all",
    )
    on_expired: Annotated[OnExpired, Takes(" or ".join(OnExpired))] = _setting(
        "PROMPTABLE_ON_EXPIRED",
        OnExpired.ERROR,
        "An object whose memory is no longer kept, as after a restart without Redis, gets an `error`, or a `restart`"
        " of its track from its last box",
    )


class RedisSettings(Settings):
    """The Redis that replicas share; without a host there is none.

    Host, port and password have the names that CVAT's own deploy scripts and documentation give them.
    """

    host: Host = _setting(
        "CVAT_FUNCTIONS_REDIS_HOST",
        "",
        "A Redis that replicas share, such as CVAT's own `cvat_redis_ondisk`; without it each process remembers alone",
    )
    port: Port = _setting("CVAT_FUNCTIONS_REDIS_PORT", 6379, "Its port; CVAT's own has 6666")
    password_from_file: SecretFile = _setting(
        "CVAT_FUNCTIONS_REDIS_PASSWORD_FILE",
        "",
        "A file that holds its password, such as a Docker or Kubernetes secret",
        shown=False,
    )
    password: Text = _setting(
        "CVAT_FUNCTIONS_REDIS_PASSWORD",
        "",
        "Its password, from the process's own environment or a Kubernetes secret (`valueFrom`); refused as a value in a"
        " `function.yaml`, which Nuclio's dashboard shows to everybody, and on the command line",
        shown=False,
    )
    tls: Flag = _setting("CVAT_FUNCTIONS_REDIS_TLS", False, "Whether to speak TLS to it")
    ca_file: Annotated[Path | None, Takes("a path")] = _setting(
        "CVAT_FUNCTIONS_REDIS_CA_FILE",
        None,
        "The authority that signed its certificate, where the system does not know it",
    )


SETTINGS: Mapping[FunctionType, type[CommonSettings]] = MappingProxyType(
    {
        FunctionType.DETECTOR: DetectorSettings,
        FunctionType.INTERACTOR: InteractorSettings,
        FunctionType.TRACKER: TrackerSettings,
    }
)
"""What each type of function reads, beside the settings of Redis."""
