"""Sessions are answered through ``functions/*/main.py`` alone, so that no inner layout matters."""

import importlib.util
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest import mock

import nuclio_sdk
import nuclio_sdk.event
import yaml

from tests.golden.sessions import SESSIONS, Session, with_states

ROOT = Path(__file__).parents[2]
TOY = ROOT / "toy"
ANSWERS = Path(__file__).parent / "answers.jsonl"

_OURS = ("PROMPTABLE_", "CVAT_FUNCTIONS_")
_MEMORY_ID = re.compile(r'(?<=[\[,])"[0-9A-Za-z_-]{16,22}"(?=[],])')
"""In a list of texts, where the state has no others."""


def replay(session: Session, **environment: str) -> dict[str, str]:
    """The lines of ``ANSWERS``, by request: status and body, where states keep all but their memories' ids."""
    lines: dict[str, str] = {}
    states: dict[str, Any] = {}
    main, context = _started(session, environment)
    for name, body in session.requests.items():
        response = main.handler(context, nuclio_sdk.Event(body=with_states(body, states)))
        answer = json.loads(response.body)
        if isinstance(answer, dict):
            states[name] = answer.get("states")
        body_text = _MEMORY_ID.sub('"id"', response.body)
        lines[name] = f'{{"status": {response.status_code}, "body": {body_text}}}'
    return lines


def lines(**environment: str) -> Iterator[str]:
    """All of ``ANSWERS``, as this tree answers."""
    for name, session in SESSIONS.items():
        for request, line in replay(session, **environment).items():
            yield f'{{"session": {json.dumps(name)}, "request": {json.dumps(request)}, {line[1:]}\n'


def recorded() -> dict[tuple[str, str], dict[str, Any]]:
    """What is committed, by session and request."""
    rows = [json.loads(line) for line in ANSWERS.read_text().splitlines()]
    return {(row["session"], row["request"]): {"status": row["status"], "body": row["body"]} for row in rows}


def _started(session: Session, environment: Mapping[str, str]) -> tuple[ModuleType, Any]:
    main = _import(ROOT / "functions" / session.function / "main.py")
    logger = nuclio_sdk.Logger("DEBUG", f"golden-{id(main)}")
    logger.set_handler("default", io.StringIO(), nuclio_sdk.logger.HumanReadableFormatter())
    context = nuclio_sdk.Context(logger)
    with TemporaryDirectory() as folder, mock.patch.dict(os.environ):
        for variable in [variable for variable in os.environ if variable.startswith(_OURS)]:
            del os.environ[variable]
        os.environ |= _environment(session, Path(folder)) | dict(environment)
        main.init_context(context)
    return main, context


def _environment(session: Session, folder: Path) -> dict[str, str]:
    deployed = yaml.safe_load((ROOT / "functions" / session.function / "function.yaml").read_text())
    deployed["metadata"]["annotations"]["spec"] = session.labels
    config = folder / "processor.yaml"
    config.write_text(yaml.safe_dump(deployed))
    mask_model = session.environment.get("PROMPTABLE_MASK_MODEL", "sam")
    return dict(session.environment) | {
        "PROMPTABLE_DEVICE": "cpu",
        "PROMPTABLE_PRECISION": "fp32",
        "PROMPTABLE_MODEL": str(TOY / session.model),
        "PROMPTABLE_MASK_MODEL": str(TOY / mask_model),
        "PROMPTABLE_FUNCTION_CONFIG": str(config),
    }


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_main_of_{path.parent.name.replace('-', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
