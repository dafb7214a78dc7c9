"""The two platforms. Two variables name Nuclio's parts; docs/internals/nuclio-tests.md says where to get them."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.nuclio.platforms import NuclioProcessor, Platform, promptable_serve

_VARIABLES = ("NUCLIO_PROCESSOR", "NUCLIO_PYTHON_WRAPPER_PATH")


@pytest.fixture(scope="session")
def nuclio() -> Platform:
    if absent := [name for name in _VARIABLES if name not in os.environ]:
        pytest.skip(f"{' and '.join(absent)} not set: see docs/internals/nuclio-tests.md")
    processor, wrapper = (Path(os.environ[name]).resolve() for name in _VARIABLES)
    return NuclioProcessor(processor, wrapper)


@pytest.fixture(params=["serve", "nuclio"])
def platform_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def platform(platform_name: str, request: pytest.FixtureRequest) -> Platform:
    chosen: Platform = request.getfixturevalue("nuclio") if platform_name == "nuclio" else promptable_serve
    return chosen


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as client:
        yield client
