"""The detector's labels: read from the deployed function's metadata, or written by people as ``labels.yaml``.

CVAT reads ``metadata.annotations.spec``, a JSON list of labels (cvat/apps/lambda_manager/views.py). The same list
carries keys of ours that CVAT ignores: ``prompts`` (what the model is asked for; the name itself if absent) and
``threshold`` (the label's own confidence threshold).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml


class LabelError(ValueError):
    """The labels are wrong: the message names the label, the key, what was expected and what came."""


class LabelType(StrEnum):
    """What the detector answers for a label."""

    RECTANGLE = "rectangle"
    MASK = "mask"
    POLYGON = "polygon"
    TAG = "tag"


@dataclass(frozen=True)
class Label:
    """One label. ``prompts`` are the words the model looks for; ``threshold`` None means the function's default."""

    name: str
    type: LabelType
    prompts: tuple[str, ...]
    threshold: float | None


CONFIDENCE_ATTRIBUTE: Mapping[str, object] = {
    "name": "confidence",
    "input_type": "number",
    "values": ["0", "100", "1"],
}
_KEYS = ("id", "name", "type", "attributes", "prompts", "threshold")


def load(spec: str) -> tuple[Label, ...]:
    """Read the labels from the JSON text of ``metadata.annotations.spec``. Raises LabelError."""
    try:
        entries = json.loads(spec)
    except ValueError as error:
        raise LabelError(f"the annotation spec is not JSON: {error}") from None
    return _labels(entries)


def render(path: Path) -> str:
    """Turn a ``labels.yaml`` into the JSON text of the annotation ``spec``. Raises LabelError.

    The file is a list; an entry is a name, or a mapping with the keys ``name``, ``type``, ``prompts``, ``threshold``.
    """
    entries = yaml.safe_load(path.read_text())
    labels = _labels([{"name": entry} if isinstance(entry, str) else entry for entry in _as_list(entries)])
    return json.dumps([_spec_entry(number, label) for number, label in enumerate(labels)])


def deployed(function_config: Path) -> tuple[Label, ...]:
    """Labels of the function with this Nuclio configuration (processor.yaml, function.yaml). Raises LabelError."""
    config = yaml.safe_load(function_config.read_text())
    try:
        spec = config["metadata"]["annotations"]["spec"]
    except (KeyError, TypeError):
        raise LabelError(f"{function_config} has no metadata.annotations.spec") from None
    return load(spec)


def _labels(entries: object) -> tuple[Label, ...]:
    labels = tuple(_label(entry) for entry in _as_list(entries))
    names = [label.name for label in labels]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise LabelError(f"label names must differ, but these come twice: {', '.join(repeated)}")
    return labels


def _label(entry: object) -> Label:
    if not isinstance(entry, Mapping):
        raise LabelError(f"a label must be a name or a mapping, got {entry!r}")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"a label's name must be a non-empty text, got {name!r}")
    if unknown := sorted(set(map(str, entry)) - set(_KEYS)):
        raise LabelError(f"label {name!r}: unknown key {unknown[0]!r}, expected one of {', '.join(_KEYS)}")
    _check_attributes(name, entry.get("attributes", []))
    return Label(name, _type(name, entry), _prompts(name, entry), _threshold(name, entry))


def _type(name: str, entry: Mapping[str, Any]) -> LabelType:
    value = entry.get("type", LabelType.RECTANGLE)
    if value not in list(LabelType):
        raise LabelError(f"label {name!r}: type must be one of {', '.join(LabelType)}, got {value!r}")
    return LabelType(value)


def _prompts(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    prompts = entry.get("prompts", [name])
    if not isinstance(prompts, list) or not prompts or not all(isinstance(p, str) and p.strip() for p in prompts):
        raise LabelError(f"label {name!r}: prompts must be a list of non-empty texts, got {prompts!r}")
    return tuple(prompts)


def _threshold(name: str, entry: Mapping[str, Any]) -> float | None:
    value = entry.get("threshold")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise LabelError(f"label {name!r}: threshold must be a number from 0 to 1, got {value!r}")
    return float(value)


def _check_attributes(name: str, attributes: object) -> None:
    """CVAT needs ``name``, ``input_type``, ``values`` of every attribute: one without breaks its whole model list."""
    for attribute in _as_list(attributes):
        missing = [
            key
            for key in ("name", "input_type", "values")
            if not isinstance(attribute, Mapping) or key not in attribute
        ]
        if missing:
            raise LabelError(f"label {name!r}: an attribute lacks {missing[0]!r}: {attribute!r}")


def _spec_entry(number: int, label: Label) -> dict[str, object]:
    entry: dict[str, object] = {"id": number, "name": label.name, "type": str(label.type)}
    if label.type is not LabelType.TAG:
        entry["attributes"] = [CONFIDENCE_ATTRIBUTE]
    if label.prompts != (label.name,):
        entry["prompts"] = list(label.prompts)
    if label.threshold is not None:
        entry["threshold"] = label.threshold
    return entry


def _as_list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise LabelError(f"expected a list, got {value!r}")
    return value
