"""The three functions over HTTP on the toy checkpoints, as CVAT would reach them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.client import Client
from promptable.local.options import Options
from promptable.local.server import Running, serve

ROOT = Path(__file__).parents[2]
TOY = ROOT / "toy"
NAMES = ("grounding-dino", "sam-interactor", "sam2-tracker")
ON_EVERY_MACHINE = {"PROMPTABLE_PRECISION": "fp32"}
"""So that answers are the same with and without a matrix unit."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("e2e") / "functions.log"
    options = Options(
        dashboard_port=0, port_base=0, models=TOY, labels=TOY / "labels.yaml", log=log, env=ON_EVERY_MACHINE
    )
    with serve(ROOT / "functions", NAMES, options) as served:
        served.require_ready()
        yield served


@pytest.fixture(scope="session")
def client(running: Running) -> Client:
    return Client({name: running.url(name) for name in NAMES})
