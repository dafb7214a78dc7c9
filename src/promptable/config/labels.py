"""The detector's labels: read from the deployed function's metadata, or written by people as ``labels.yaml``.

CVAT reads ``metadata.annotations.spec``, a JSON list of labels (cvat/apps/lambda_manager/views.py). The same list
carries keys of ours that CVAT ignores: ``prompts`` (what the model is asked for; the name itself if absent),
``threshold`` (the label's own confidence threshold), and ``marks``, for the tag of a frame that people should look at.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from promptable.config.function_yaml import FunctionConfigError, load_deployed
from promptable.config.yaml_file import read_yaml
from promptable.prompt_text import normalise


class LabelError(ValueError):
    """The labels are wrong: the message names the label, the key, what was expected and what came."""


class LabelType(StrEnum):
    """What the detector answers for a label."""

    RECTANGLE = "rectangle"
    MASK = "mask"
    POLYGON = "polygon"
    TAG = "tag"


class Mark(StrEnum):
    """Why a frame gets a tag that the model is not asked for."""

    REVIEW = "review"
    FAILURE = "failure"


@dataclass(frozen=True)
class Label:
    """One label. ``prompts`` are the words the model looks for; ``threshold`` None means the function's default.

    A label that ``marks`` frames is a tag and has no prompts.
    """

    name: str
    type: LabelType
    prompts: tuple[str, ...]
    threshold: float | None = None
    marks: Mark | None = None


CONFIDENCE = "confidence"
REVIEW = "review"
ATTRIBUTES: tuple[Mapping[str, object], ...] = (
    {"name": CONFIDENCE, "input_type": "number", "values": ["0", "100", "1"]},
    {"name": REVIEW, "input_type": "checkbox", "values": ["false"]},
)
"""What every detection carries: its confidence in percent, and whether that is below the review threshold."""
_KEYS = ("id", "name", "type", "attributes", "prompts", "threshold", "marks")
_INTEGER = re.compile(r"-?\d+")
_INPUT_TYPES = ("checkbox", "number", "radio", "select", "text")


def load(spec: object) -> tuple[Label, ...]:
    """Read the labels from ``metadata.annotations.spec``, which must be a JSON text. Raises LabelError."""
    if not isinstance(spec, str):
        raise LabelError(f"the annotation spec must be a text that holds JSON, got {spec!r}")
    try:
        entries = json.loads(spec)
    except ValueError as error:
        raise LabelError(f"the annotation spec is not JSON: {error}") from None
    return _labels(entries)


def render(path: Path) -> str:
    """Turn a ``labels.yaml`` into the JSON text of the annotation ``spec``. Raises LabelError with the file's name.

    The file is a list; an entry is a name, or a mapping with the keys ``name``, ``type``, ``prompts``, ``threshold``,
    ``attributes``, ``marks``.
    """
    with _naming(path):
        given = _as_list(read_yaml(path))
        entries = [{"name": entry} if isinstance(entry, str) else entry for entry in given]
        pairs = zip(entries, _labels(entries), strict=True)
        spec = [_spec_entry(number, *pair) for number, pair in enumerate(pairs)]
        return json.dumps(spec, default=str, separators=(",", ":"))  # Nuclio's commands have room for only so much


def deployed(function_config: Path) -> tuple[Label, ...]:
    """Labels of the function with this Nuclio configuration (processor.yaml, function.yaml).

    Raises LabelError with the file's name.
    """
    try:
        spec = load_deployed(function_config).metadata.annotations.spec
    except FunctionConfigError as error:
        raise LabelError(str(error)) from None
    with _naming(function_config):
        return load(spec)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise LabelError that begins with the file's name, for what is wrong with the file or its labels."""
    try:
        yield
    except OSError as error:
        raise LabelError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise LabelError(f"{path}: {error}") from None


def _labels(entries: object) -> tuple[Label, ...]:
    labels = tuple(_label(entry) for entry in _as_list(entries))
    names = [label.name for label in labels]
    marks = [label.marks for label in labels if label.marks is not None]
    if len(marks) > len(set(marks)):
        raise LabelError(f"only one label may mark {max(marks, key=marks.count)}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise LabelError(f"label names must differ, but these come twice: {', '.join(repeated)}")
    if len(marks) == len(labels):
        raise LabelError("expected at least one label that the model looks for, got none")
    _check_prompts_differ(labels)
    return labels


def _check_prompts_differ(labels: Sequence[Label]) -> None:
    """What the model finds for a prompt can be answered under one label only."""
    owners: dict[str, str] = {}
    for label in labels:
        for prompt in label.prompts:
            owner = owners.setdefault(normalise(prompt), label.name)
            if owner != label.name:
                raise LabelError(
                    f"labels {owner!r} and {label.name!r} have the same prompt {prompt!r}: leave it to one of them"
                )


def _label(entry: object) -> Label:
    if not isinstance(entry, Mapping):
        raise LabelError(f"a label must be a name or a mapping, got {entry!r}")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"a label's name must be a non-empty text, got {name!r}")
    if unknown := sorted(set(map(str, entry)) - set(_KEYS)):
        raise LabelError(f"label {name!r}: unknown key {unknown[0]!r}, expected one of {', '.join(_KEYS)}")
    _check_attributes(name, _attributes(entry))
    if "marks" in entry:
        return Label(name, LabelType.TAG, (), marks=_mark(name, entry))
    return Label(name, _type(name, entry), _prompts(name, entry), _threshold(name, entry))


def _mark(name: str, entry: Mapping[str, Any]) -> Mark:
    value = entry["marks"]
    if value not in list(Mark):
        raise LabelError(f"label {name!r}: marks must be one of {', '.join(Mark)}, got {value!r}")
    if _type(name, {"type": LabelType.TAG} | dict(entry)) is not LabelType.TAG:
        raise LabelError(f"label {name!r}: a label that marks frames must be of type tag, got {entry['type']!r}")
    for key in ("prompts", "threshold"):
        if key in entry:
            raise LabelError(f"label {name!r}: a label that marks frames has no {key}, got {entry[key]!r}")
    return Mark(value)


def _type(name: str, entry: Mapping[str, Any]) -> LabelType:
    value = entry.get("type", LabelType.RECTANGLE)
    if value not in list(LabelType):
        raise LabelError(f"label {name!r}: type must be one of {', '.join(LabelType)}, got {value!r}")
    return LabelType(value)


def _prompts(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The prompts, without those that are another one to the model too."""
    prompts = entry.get("prompts", [name])
    if not isinstance(prompts, list) or not prompts or not all(isinstance(p, str) and p.strip() for p in prompts):
        raise LabelError(f"label {name!r}: prompts must be a list of non-empty texts, got {prompts!r}")
    different: dict[str, str] = {}
    try:
        for prompt in prompts:
            different.setdefault(normalise(prompt), prompt)
    except ValueError as error:
        raise LabelError(f"label {name!r}: {error}") from None
    return tuple(different.values())


def _threshold(name: str, entry: Mapping[str, Any]) -> float | None:
    value = entry.get("threshold")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise LabelError(f"label {name!r}: threshold must be a number from 0 to 1, got {value!r}")
    return float(value)


def _check_attributes(label: str, attributes: Sequence[Mapping[str, object]]) -> None:
    """As CVAT checks attributes: one that lacks a key, or two of one name, break its whole list of models."""
    names = [_attribute_name(label, attribute) for attribute in attributes]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise LabelError(f"label {label!r}: attribute names must differ, but these come twice: {', '.join(repeated)}")
    ours = {attribute["name"]: attribute for attribute in ATTRIBUTES}
    for name, attribute in zip(names, attributes, strict=True):
        if {**attribute, **ours.get(name, {})} != attribute:
            raise LabelError(f"label {label!r}: attribute {name!r} is the detector's own: leave it out")


def _attributes(entry: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    """The attributes that an entry has of its own; none where the key has no value."""
    attributes = entry.get("attributes")
    if attributes is not None and not isinstance(attributes, list):
        raise LabelError(f"label {entry['name']!r}: attributes must be a list, got {attributes!r}")
    return attributes or []


def _attribute_name(label: str, attribute: object) -> str:
    """The name of an attribute that is as CVAT's AttributeSpec (cvat/apps/engine/models.py) wants it."""
    given = attribute if isinstance(attribute, Mapping) else {}
    name, kind, values = (given.get(key) for key in ("name", "input_type", "values"))
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"label {label!r}: an attribute needs a name, got {attribute!r}")
    if kind not in _INPUT_TYPES:
        raise LabelError(
            f"label {label!r}: input_type of {name!r} must be one of {', '.join(_INPUT_TYPES)}, got {kind!r}"
        )
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise LabelError(f"label {label!r}: values of {name!r} must be a list of texts, got {values!r}")
    if not _fit(kind, values):
        raise LabelError(f"label {label!r}: values {values!r} of {name!r} do not fit its input_type {kind}")
    return name


def _fit(kind: str, values: Sequence[str]) -> bool:
    """Whether an attribute of this input type can have these values; of a number they are minimum, maximum, step."""
    match kind:
        case "number":
            numbers = [int(value) for value in values if _INTEGER.fullmatch(value)]
            return len(numbers) == len(values) == 3 and numbers[0] <= numbers[1] and numbers[2] > 0
        case "checkbox":
            return set(values) <= {"true", "false"}
        case "text":
            return True
        case _:
            return len(values) > 0


def _spec_entry(number: int, given: Mapping[str, Any], label: Label) -> dict[str, object]:
    """The label as CVAT reads it, with the attributes that it was given, and ours where it is for detections."""
    ours = [] if label.marks is not None else ATTRIBUTES
    named = {attribute["name"]: attribute for attribute in (*_attributes(given), *ours)}
    entry: dict[str, object] = {"id": number, "name": label.name, "type": str(label.type)}
    if named:
        entry["attributes"] = list(named.values())
    if label.marks is not None:
        return entry | {"marks": str(label.marks)}
    if label.prompts != (label.name,):
        entry["prompts"] = list(label.prompts)
    if label.threshold is not None:
        entry["threshold"] = label.threshold
    return entry


def _as_list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise LabelError(f"expected a list, got {value!r}")
    return value
