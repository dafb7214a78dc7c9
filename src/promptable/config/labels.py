"""The detector's labels: read from the deployed function's metadata, or written by people as ``labels.yaml``.

CVAT reads ``metadata.annotations.spec``, a JSON list of labels (cvat/apps/lambda_manager/views.py). The same list
carries keys of ours that CVAT ignores: ``prompts`` (what the model is asked for; the name itself if absent),
``threshold`` (the label's own confidence threshold), and ``marks``, for the tag of a frame that people should look at.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from promptable.config.function_yaml import FunctionConfigError, load_deployed
from promptable.config.label import ATTRIBUTES as ATTRIBUTES
from promptable.config.label import CONFIDENCE as CONFIDENCE
from promptable.config.label import REVIEW as REVIEW
from promptable.config.label import Label as Label
from promptable.config.label import LabelError as LabelError
from promptable.config.label import LabelType as LabelType
from promptable.config.label import Mark as Mark
from promptable.config.label import percent as percent
from promptable.config.label_entry import LabelEntry, read_entry
from promptable.config.yaml_file import read_yaml
from promptable.prompt_text import normalise


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


def _entries(entries: object) -> list[LabelEntry]:
    if not isinstance(entries, list):
        raise LabelError(f"expected a list of labels, got {'nothing' if entries is None else repr(entries)}")
    return [read_entry({"name": entry} if isinstance(entry, str) else entry) for entry in entries]


def _labels(entries: Sequence[LabelEntry]) -> tuple[Label, ...]:
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


def _spec_entry(number: int, given: LabelEntry, label: Label) -> dict[str, object]:
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
