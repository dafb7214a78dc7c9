"""What a format's field takes, said in words where it is declared and again where a value is refused."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, Strict, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")

TEXT = "a text, in quotes where YAML would see a number or a truth value"
"""What a text must be in a YAML file."""


def _anything(_value: Any) -> bool:
    return True


@dataclass(frozen=True)
class Takes:
    """Annotates a field with what it accepts, in words; whatever is wrong with a value is reported with these words.

    ``fits`` says of a value of the field's type whether it is accepted.
    """

    words: str
    fits: Callable[[Any], object] = _anything

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def _check(self, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            checked = handler(value)
            if self.fits(checked):
                return checked
        except ValueError:
            pass
        raise PydanticCustomError("takes", "{words}", {"words": self.words})


def refusal(sentence: str) -> PydanticCustomError:
    """What a validator raises to refuse values that do not go together."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})


def between(low: float, high: float, noun: str = "a number") -> Takes:
    """A number in this range, both ends included."""
    return Takes(f"{noun} from {low:.10g} to {high:.10g}", lambda number: low <= number <= high)


Tuple = Annotated[tuple[T, ...], Strict(False)]
"""A list in the file, a tuple in the model."""


class Section(BaseModel):
    """A frozen part of a document. Types are taken as they are written: ``"1"`` is no number and ``1`` no text.

    Unknown keys are kept and written out again; only the reader of a file that people wrote refuses them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", validate_by_name=True, validate_by_alias=True)

    def replace(self, **changes: Any) -> Self:
        """The same with these fields, by their names in Python; None leaves one out. Raises ValidationError."""
        if unknown := changes.keys() - type(self).model_fields.keys():
            raise TypeError(f"{type(self).__name__} has no field {min(unknown)!r}")
        kept = {name: getattr(self, name) for name in self.model_fields_set - changes.keys()}
        return self.model_validate(kept | {name: value for name, value in changes.items() if value is not None})


@dataclass(frozen=True)
class Problem:
    """One value that is not accepted. ``place`` leads to it: keys, and numbers of list entries."""

    place: Sequence[str | int]
    expected: str
    got: object
    kind: str

    def sentence(self, known: Iterable[str] = ()) -> str:
        """``a.b[0].c must be a text, got 1``; ``known`` are the keys to name beside an unknown one."""
        place = dotted(self.place)
        match self.kind:
            case "missing":
                return f"{place} is missing"
            case "extra_forbidden":
                return f"{place} is unknown" + (f", expected one of {', '.join(known)}" if known else "")
            case "refused":
                return self.expected
        return f"{place} must be {self.expected}, got {self.got!r}"


def problems(error: ValidationError) -> list[Problem]:
    """What is wrong, value by value."""
    return [Problem(each["loc"], _words(each), each["input"], each["type"]) for each in error.errors(include_url=False)]


def dotted(place: Sequence[str | int]) -> str:
    """``("a", 0, "b")`` as ``a[0].b``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in place).removeprefix(".")


def _key(name: str) -> str:
    """A key as it is, or quoted where it would write lines of its own into a log."""
    return name if name.isprintable() else repr(name)


_WORDS = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "string_type": TEXT,
    "tuple_type": "a list",
}


def _words(error: Any) -> str:
    if error["type"] in ("enum", "literal_error"):
        return f"one of {error['ctx']['expected']}"
    words: str = _WORDS.get(error["type"], error["msg"])
    return words
