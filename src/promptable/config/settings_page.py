"""docs/settings.md, written from the settings: ``python -m promptable.config.settings_page > docs/settings.md``."""

import sys
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from promptable.config.settings import (
    CommonSettings,
    DetectorSettings,
    InteractorSettings,
    MaskSettings,
    RedisSettings,
    Settings,
    TrackerSettings,
)
from promptable.config.validation import Takes

_HEAD = """# Settings

<!-- Written by `make docs` from src/promptable/config/settings.py. -->

Set these as environment variables: under `spec.env` in a `function.yaml`, or as `--env NAME=VALUE` with
`promptable serve`. An empty variable means the default.

Each function reads its settings once, when it starts. A wrong value stops it; the error names the variable, what it
takes and what came. A `function.yaml` with an unknown setting is refused too.
"""

_SECTIONS: tuple[tuple[str, type[Settings]], ...] = (
    ("All three functions", CommonSettings),
    ("Masks, of all three functions", MaskSettings),
    ("Detector", DetectorSettings),
    ("Interactor", InteractorSettings),
    ("Tracker", TrackerSettings),
    ("Redis, for interactor and tracker", RedisSettings),
)


def page() -> str:
    """The text of docs/settings.md."""
    sections = [_section(title, settings) for title, settings in _SECTIONS]
    return "\n".join((_HEAD, *sections, _models()))


def _section(title: str, settings: type[Settings]) -> str:
    rows = [_row(field) for field in _own(settings)]
    return "\n".join(
        (f"## {title}", "", "| Variable | Default | Takes | Meaning |", "| --- | --- | --- | --- |", *rows, "")
    )


def _own(settings: type[Settings]) -> Iterator[FieldInfo]:
    """The fields that these settings do not have from others."""
    return (settings.model_fields[name] for name in settings.__annotations__ if name in settings.model_fields)


def _row(field: FieldInfo) -> str:
    (takes,) = (part.words for part in field.metadata if isinstance(part, Takes))
    return f"| `{field.alias}` | {_shown(field.default)} | {takes} | {field.description} |"


def _shown(default: Any) -> str:
    match default:
        case "" | None:
            return ""
        case bool():
            return f"`{default}`".lower()
        case float():
            return f"`{default:.10g}`"
        case _:
            return f"`{default}`"


def _models() -> str:
    return """## Models

[models.md](models.md) lists the official models. `promptable download` fetches them and checks their SHA-256, which is
checked again whenever a model is loaded. A download that broke off continues where it stopped, and one that another
process has begun is waited for. Proxy and certificates are the environment's (`HTTPS_PROXY`, `SSL_CERT_FILE`).
`--mirror URL` names a folder that holds the files under their own names.

A model folder of your own holds `model.safetensors`, and `config.json` (Grounding DINO, SAM) or `config.yaml` in
upstream's form (SAM 2). `toy/` has one of each. A folder in which transformers saved an
`MMGroundingDinoForObjectDetection`, with BERT's `vocab.txt`, works too.
"""


if __name__ == "__main__":
    sys.stdout.write(page())
