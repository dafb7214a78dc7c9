"""A function's ``function.yaml``, in Nuclio's form, read and checked.

The fields are those of Nuclio's function configuration reference that matter to CVAT and to ``promptable serve``.
Nuclio takes only strings for annotations and environment values, and so does this.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from promptable.config.durations import parse_duration

T = TypeVar("T")


class FunctionConfigError(ValueError):
    """A function.yaml is wrong: the message names the file, the field, what was expected and what came."""


@dataclass(frozen=True)
class HttpTrigger:
    """How a function is called; the defaults are Nuclio's."""

    name: str
    workers: int
    wait_seconds: float
    """How long a request waits for a worker to come free."""
    port: int
    """0: any free port."""
    max_body_bytes: int


@dataclass(frozen=True)
class FunctionConfig:
    """One function. ``metadata`` and ``spec`` are the file's own mappings, as the deployed function holds them."""

    folder: Path
    name: str
    handler: str
    """``module:function``"""
    env: Mapping[str, str]
    trigger: HttpTrigger
    event_timeout_seconds: float | None
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def annotations(self) -> Mapping[str, str]:
        """What CVAT reads about the function."""
        annotations: Mapping[str, str] = self.metadata["annotations"]
        return annotations

    def with_labels(self, labels_json: str) -> "FunctionConfig":
        """The same function with another ``metadata.annotations.spec``."""
        annotations = {**self.annotations, "spec": labels_json}
        return replace(self, metadata={**self.metadata, "annotations": annotations})


def load(folder: Path) -> FunctionConfig:
    """Read ``folder/function.yaml``. Raises FunctionConfigError."""
    path = folder / "function.yaml"
    root = _Section(str(path), "", _parse(path))
    metadata, spec = root.section("metadata"), root.section("spec")
    metadata.section("annotations").texts()
    spec.text("description")
    return FunctionConfig(
        folder=folder.resolve(),
        name=metadata.text("name"),
        handler=_handler(spec),
        env=_environment(spec),
        trigger=_trigger(spec),
        event_timeout_seconds=_event_timeout(spec),
        metadata=metadata.values,
        spec=spec.values,
    )


def find(functions_dir: Path, names: Sequence[str]) -> tuple[FunctionConfig, ...]:
    """Read the functions in these folders of ``functions_dir``, or in all that hold a function.yaml.

    Raises FunctionConfigError.
    """
    folders = [functions_dir / name for name in names] or sorted(
        path.parent for path in functions_dir.glob("*/function.yaml")
    )
    if not folders:
        raise FunctionConfigError(f"{functions_dir} holds no folder with a function.yaml")
    configs = tuple(load(folder) for folder in folders)
    function_names = [config.name for config in configs]
    if repeated := sorted({name for name in function_names if function_names.count(name) > 1}):
        raise FunctionConfigError(f"two functions of {functions_dir} have the name {repeated[0]!r}")
    return configs


@dataclass(frozen=True)
class _Section:
    """A mapping in the file, with the words to say where in it something is wrong."""

    file: str
    path: str
    values: Mapping[str, Any]

    def section(self, key: str) -> "_Section":
        """The mapping under ``key``; empty where there is none."""
        return _Section(self.file, f"{self.path}{key}.", self.value(key, dict, {}))

    def value(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value under ``key``, which must be of this kind and, without a default, be there."""
        value = self.values.get(key, default)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(key, _WORDS[kind], value)
        return value

    def text(self, key: str) -> str:
        text = self.value(key, str)
        if not text:
            raise self.error(key, _WORDS[str], text)
        return text

    def texts(self) -> None:
        """Check that every value is a string."""
        for key in self.values:
            self.value(key, str)

    def natural(self, key: str, default: int) -> int:
        number = self.value(key, int, default)
        if number < 0:
            raise self.error(key, _WORDS[int], number)
        return number

    def error(self, key: str, expected: str, value: object) -> FunctionConfigError:
        return FunctionConfigError(f"{self.file}: {self.path}{key} must be {expected}, got {value!r}")


_WORDS: Mapping[type, str] = {
    str: "a text, in quotes where YAML would see a number or a truth value",
    int: "a whole number from 0 on",
    dict: "a mapping",
    list: "a list",
}
_NUCLIO_BODY_BYTES = 4 * 1024 * 1024
_NUCLIO_WAIT_MILLISECONDS = 10_000


def _parse(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise FunctionConfigError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise FunctionConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise FunctionConfigError(f"{path} must be a mapping, got {document!r}")
    return document


def _handler(spec: _Section) -> str:
    handler = spec.text("handler")
    if not re.fullmatch(r"\w+(\.\w+)*:\w+", handler):
        raise spec.error("handler", "module:function", handler)
    return handler


def _environment(spec: _Section) -> Mapping[str, str]:
    entries = [
        _Section(spec.file, f"{spec.path}env[{number}].", entry if isinstance(entry, dict) else {"name": entry})
        for number, entry in enumerate(spec.value("env", list, []))
    ]
    return {entry.text("name"): entry.value("value", str) for entry in entries}


def _trigger(spec: _Section) -> HttpTrigger:
    """The HTTP trigger; Nuclio gives every function one."""
    triggers = spec.section("triggers")
    name = next((key for key in triggers.values if triggers.section(key).values.get("kind") == "http"), "default-http")
    trigger = triggers.section(name)
    attributes = trigger.section("attributes")
    return HttpTrigger(
        name=name,
        workers=max(1, trigger.natural("numWorkers", trigger.natural("maxWorkers", 1))),
        wait_seconds=trigger.natural("workerAvailabilityTimeoutMilliseconds", _NUCLIO_WAIT_MILLISECONDS) / 1000,
        port=attributes.natural("port", 0),
        max_body_bytes=attributes.natural("maxRequestBodySize", 0) or _NUCLIO_BODY_BYTES,
    )


def _event_timeout(spec: _Section) -> float | None:
    text = spec.value("eventTimeout", str, "")
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise spec.error("eventTimeout", "a duration such as 30s or 1m30s", text) from None
