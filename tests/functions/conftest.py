"""The three functions as Nuclio runs them, on the toy checkpoints."""

import importlib.util
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import nuclio_sdk
import nuclio_sdk.event
import pytest

from promptable.config import labels
from promptable.config.function_yaml import dump, load
from promptable.serving.logs import log_to
from tests.redis_server import running_redis
from toy.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
TOY = ROOT / "toy"
_OURS = ("PROMPTABLE_", "CVAT_FUNCTIONS_")
_ON_EVERY_MACHINE = {"PROMPTABLE_DEVICE": "cpu", "PROMPTABLE_PRECISION": "fp32"}
"""So that answers are the same with and without a GPU or a matrix unit; what a test's environment says counts more."""


class Function:
    """One function of ``functions/``, with nuclio-sdk's own Context, Event and Response."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._main = _import(ROOT / "functions" / name / "main.py")
        self.log = io.StringIO()
        logger = nuclio_sdk.Logger("DEBUG", f"{name}-{id(self)}")  # loggers of one name share their handlers
        logger.set_handler("default", self.log, nuclio_sdk.logger.HumanReadableFormatter())
        self.context = nuclio_sdk.Context(logger)
        with pytest.MonkeyPatch.context() as patch:
            for variable in [variable for variable in os.environ if variable.startswith(_OURS)]:
                patch.delenv(variable)
            for variable, value in (_ON_EVERY_MACHINE | dict(environment)).items():
                patch.setenv(variable, value)
            self._main.init_context(self.context)

    def post(self, body: object) -> nuclio_sdk.Response:
        """The response to a body: what Nuclio parses from JSON, or bytes for anything else."""
        log_to(self.context.logger)  # of all functions of this process, the last one loaded has the package's log
        parsed = body if isinstance(body, bytes) else json.loads(json.dumps(body))
        response = self._main.handler(self.context, nuclio_sdk.Event(body=parsed))
        assert isinstance(response.body, str), "Nuclio would base64 anything else"
        assert response.content_type == "application/json"
        return response

    def answer(self, body: object) -> Any:
        """The JSON answer to a body that must be good."""
        response = self.post(body)
        assert response.status_code == 200, response.body
        return json.loads(response.body)


def new_detector(folder: Path, entries: Sequence[Mapping[str, object]], **environment: str) -> Function:
    """The detector with these labels, its configuration in ``folder``, on the toy checkpoints."""
    config = _deployed(folder, json.dumps(entries))
    models = {"PROMPTABLE_MODEL": str(TOY / "grounding-dino"), "PROMPTABLE_MASK_MODEL": str(TOY / "sam")}
    return Function("grounding-dino", models | {"PROMPTABLE_FUNCTION_CONFIG": str(config)} | environment)


def _deployed(folder: Path, spec: str) -> Path:
    """The detector's configuration with these labels, as Nuclio writes it into the container."""
    config = folder / "processor.yaml"
    function = load(ROOT / "functions" / "grounding-dino" / "function.yaml")
    config.write_text(dump(function.with_annotations(spec=spec)))
    return config


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"main_of_{path.parent.name.replace('-', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Function:
    config = _deployed(tmp_path_factory.mktemp("detector"), labels.render(TOY / "labels.yaml"))
    return Function(
        "grounding-dino",
        {
            "PROMPTABLE_MODEL": str(TOY / "grounding-dino"),
            "PROMPTABLE_MASK_MODEL": str(TOY / "sam"),
            "PROMPTABLE_FUNCTION_CONFIG": str(config),
            "PROMPTABLE_MAX_MEGAPIXELS": "1",
        },
    )


@pytest.fixture(scope="session")
def interactor() -> Function:
    return Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_MAX_MEGAPIXELS": "1"})


@pytest.fixture(scope="session")
def tracker() -> Function:
    return Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2"), "PROMPTABLE_MAX_MEGAPIXELS": "1"})


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """An empty Redis of the test's own, which replicas can share."""
    with running_redis() as running:
        yield running


@pytest.fixture(params=["detector", "interactor", "tracker"])
def function(request: pytest.FixtureRequest) -> Function:
    loaded: Function = request.getfixturevalue(request.param)
    return loaded
