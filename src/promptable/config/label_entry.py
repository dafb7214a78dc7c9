"""An entry of a labels.yaml or of an annotation spec: a label as it is written, checked key by key."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from promptable.config.label import ATTRIBUTES, Label, LabelError, LabelType, Mark
from promptable.config.validation import Takes, Tuple, problems, refusal
from promptable.prompt_text import normalise

_INTEGER = re.compile(r"-?[0-9]+")
_INPUT_TYPES = ("checkbox", "number", "radio", "select", "text")


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
    counts = Counter(attribute.name for attribute in attributes)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise refusal(f"attribute names must differ, but these come twice: {', '.join(repeated)}")
    return attributes


def _none_is_empty(attributes: object) -> object:
    return () if attributes is None else attributes


def _are_texts(prompts: tuple[str, ...]) -> bool:
    return len(prompts) > 0 and all(prompt.strip() for prompt in prompts)


def _is_share(threshold: float | None) -> bool:
    return threshold is None or 0 <= threshold <= 1


_Attributes = Annotated[Tuple[_Attribute], BeforeValidator(_none_is_empty), AfterValidator(_names_differ)]


class LabelEntry(BaseModel):
    """A label as it is written; unknown keys are refused."""

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
        """The prompts, without those that every model reads as an earlier one."""
        different: dict[str, str] = {}
        try:
            for prompt in self.prompts or (self.name,):
                different.setdefault(normalise(prompt), prompt)
        except ValueError as error:
            raise LabelError(f"label {self.name!r}: {error}") from None
        return tuple(different.values())


def read_entry(given: object) -> LabelEntry:
    """An entry of a list, a mapping. Raises LabelError."""
    if not isinstance(given, Mapping):
        raise LabelError(f"a label must be a name or a mapping, got {given!r}: a name that YAML reads so needs quotes")
    if "name" not in given:
        raise LabelError(f"a label needs a name, got {given!r}: a name with a colon in it needs quotes")
    _check_json(given)
    try:
        return LabelEntry.model_validate(given)
    except ValidationError as error:
        sentences = "; ".join(problem.sentence(LabelEntry.model_fields) for problem in problems(error))
        raise LabelError(f"label {given['name']!r}: {sentences}") from None


def _check_json(given: Mapping[Any, Any]) -> None:
    """What no JSON text can hold would break CVAT's whole list of models."""
    try:
        json.dumps(given, default=str, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise LabelError(f"label {given['name']!r}: a text has half of a character (a lone surrogate)") from None
    except ValueError:
        raise LabelError(f"label {given['name']!r}: .nan and .inf are no values that CVAT can read") from None
