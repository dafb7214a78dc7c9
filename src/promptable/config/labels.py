"""The detector's labels: read from the deployed function's metadata, or written by people as ``labels.yaml``.

CVAT reads ``metadata.annotations.spec``, a JSON list of labels (cvat/apps/lambda_manager/views.py). The same list
carries keys of ours that CVAT ignores: ``prompts`` (what the model is asked for; the name itself if absent),
``threshold`` (the label's own confidence threshold), and ``marks``, for the tag of a frame that people should look at.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from promptable.config.function_yaml import FunctionConfigError, load_deployed
from promptable.config.validation import Takes, Tuple, problems, refusal
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
_INTEGER = re.compile(r"-?[0-9]+")
_INPUT_TYPES = ("checkbox", "number", "radio", "select", "text")


def load(spec: str) -> tuple[Label, ...]:
    """Read the labels from ``metadata.annotations.spec``, a JSON text. Raises LabelError."""
    try:
        entries = json.loads(spec)
    except ValueError as error:
        raise LabelError(f"the annotation spec is not JSON: {error}") from None
    return parse(entries)


def parse(entries: object) -> tuple[Label, ...]:
    """The labels of a list of entries, as they stand in a labels.yaml or an annotation spec. Raises LabelError."""
    return _labels(_entries(entries))


def render(path: Path) -> str:
    """Turn a ``labels.yaml`` into the JSON text of the annotation ``spec``. Raises LabelError with the file's name.

    The file is a list; an entry is a name, or a mapping with the keys ``name``, ``type``, ``prompts``, ``threshold``,
    ``attributes``, ``marks``.
    """
    with naming(path):
        entries = _entries(read_yaml(path))
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
    with naming(function_config):
        return load(spec)


def check_spelling(labels: Sequence[Label], spell: Callable[[str], Hashable]) -> None:
    """Check that the model can read every prompt, and tells those of different labels apart. Raises LabelError.

    ``spell`` gives what the model reads of a prompt, and raises ValueError where it cannot.
    """
    owners: dict[Hashable, tuple[Label, str]] = {}
    for label in labels:
        for prompt in label.prompts:
            try:
                owner, other = owners.setdefault(spell(prompt), (label, prompt))
            except ValueError as error:
                raise LabelError(f"label {label.name!r}: {error}") from None
            if owner is not label:
                raise LabelError(
                    f"labels {owner.name!r} and {label.name!r} have prompts that are the same to the model:"
                    f" {other!r} and {prompt!r}: leave them to one label"
                )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise LabelError that begins with the file's name, for what is wrong with the file or its labels."""
    try:
        yield
    except OSError as error:
        raise LabelError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise LabelError(f"{path}: {error}") from None


class _Attribute(BaseModel):
    """An attribute as CVAT's AttributeSpec (cvat/apps/engine/models.py) wants it; further keys are kept."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    name: Annotated[str, Takes("a non-empty text", str.strip)]
    input_type: Annotated[str, Takes(f"one of {', '.join(_INPUT_TYPES)}", _INPUT_TYPES.__contains__)]
    values: Annotated[Tuple[str], Takes("a list of texts")]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _fit(self.input_type, self.values):
            raise refusal(f"values {list(self.values)!r} of {self.name!r} do not fit its input_type {self.input_type}")
        ours = {str(attribute["name"]): attribute for attribute in ATTRIBUTES}
        given = self.model_dump(mode="json")
        if {**given, **ours.get(self.name, {})} != given:
            raise refusal(f"attribute {self.name!r} is the detector's own: leave it out")
        return self


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


def _names_differ(attributes: tuple[_Attribute, ...]) -> tuple[_Attribute, ...]:
    """Two attributes of one name break CVAT's whole list of models."""
    names = [attribute.name for attribute in attributes]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise refusal(f"attribute names must differ, but these come twice: {', '.join(repeated)}")
    return attributes


def _none_is_empty(attributes: object) -> object:
    return () if attributes is None else attributes


def _are_texts(prompts: tuple[str, ...]) -> bool:
    return len(prompts) > 0 and all(prompt.strip() for prompt in prompts)


def _is_share(threshold: float | None) -> bool:
    return threshold is None or 0 <= threshold <= 1


_Attributes = Annotated[Tuple[_Attribute], BeforeValidator(_none_is_empty), AfterValidator(_names_differ)]


class _Entry(BaseModel):
    """A label as it is written."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: Any = None
    name: Annotated[str, Takes("a non-empty text", str.strip)]
    type: Annotated[LabelType, Field(strict=False), Takes(f"one of {', '.join(LabelType)}")] = LabelType.RECTANGLE
    attributes: _Attributes = ()
    prompts: Annotated[Tuple[str], Takes("a list of non-empty texts", _are_texts)] = ()
    threshold: Annotated[float | None, Takes("a number from 0 to 1", _is_share)] = None
    marks: Annotated[Mark | None, Field(strict=False), Takes(f"one of {', '.join(Mark)}")] = None

    @model_validator(mode="after")
    def _check_mark(self) -> Self:
        if self.marks is None:
            return self
        if "type" in self.model_fields_set and self.type is not LabelType.TAG:
            raise refusal(f"a label that marks frames must be of type tag, got {str(self.type)!r}")
        for key in ("prompts", "threshold"):
            if key in self.model_fields_set:
                raise refusal(f"a label that marks frames has no {key}, got {getattr(self, key)!r}")
        return self

    def label(self) -> Label:
        """What the detector needs of it. Raises LabelError."""
        if self.marks is not None:
            return Label(self.name, LabelType.TAG, (), marks=self.marks)
        return Label(self.name, self.type, self._prompts(), self.threshold)

    def _prompts(self) -> tuple[str, ...]:
        """The prompts, without those that are another one to every model."""
        different: dict[str, str] = {}
        try:
            for prompt in self.prompts or (self.name,):
                different.setdefault(normalise(prompt), prompt)
        except ValueError as error:
            raise LabelError(f"label {self.name!r}: {error}") from None
        return tuple(different.values())


def _entries(entries: object) -> list[_Entry]:
    if not isinstance(entries, list):
        raise LabelError(f"expected a list, got {entries!r}")
    return [_entry({"name": entry} if isinstance(entry, str) else entry) for entry in entries]


def _entry(given: object) -> _Entry:
    if not isinstance(given, Mapping):
        raise LabelError(f"a label must be a name or a mapping, got {given!r}: a name that YAML reads so needs quotes")
    if "name" not in given:
        raise LabelError(f"a label needs a name, got {given!r}: a name with a colon in it needs quotes")
    _check_json(given)
    try:
        return _Entry.model_validate(given)
    except ValidationError as error:
        sentences = "; ".join(problem.sentence(_Entry.model_fields) for problem in problems(error))
        raise LabelError(f"label {given['name']!r}: {sentences}") from None


def _check_json(given: Mapping[Any, Any]) -> None:
    """What no JSON text can hold would break CVAT's whole list of models."""
    try:
        json.dumps(given, default=str, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise LabelError(f"label {given['name']!r}: a text has half of a character (a lone surrogate)") from None
    except ValueError:
        raise LabelError(f"label {given['name']!r}: .nan and .inf are no values that CVAT can read") from None


def _labels(entries: Sequence[_Entry]) -> tuple[Label, ...]:
    labels = tuple(entry.label() for entry in entries)
    names = [label.name for label in labels]
    marks = [label.marks for label in labels if label.marks is not None]
    if len(marks) > len(set(marks)):
        raise LabelError(f"only one label may mark {max(marks, key=marks.count)}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise LabelError(f"label names must differ, but these come twice: {', '.join(repeated)}")
    if len(marks) == len(labels):
        raise LabelError("expected at least one label that the model looks for, got none")
    check_spelling(labels, normalise)
    return labels


def _spec_entry(number: int, given: _Entry, label: Label) -> dict[str, object]:
    """The label as CVAT reads it, with the attributes that it was given, and ours where it is for detections."""
    ours = [] if label.marks is not None else ATTRIBUTES
    own = [attribute.model_dump(mode="json") for attribute in given.attributes]
    named = {attribute["name"]: attribute for attribute in (*own, *ours)}
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
