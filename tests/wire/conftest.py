from pathlib import Path

import orjson
import pytest
from hypothesis import settings

_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")


@pytest.fixture
def recording():
    """Reads the body of a request as a CVAT server sent it, by name; skips where the recordings are not at hand."""

    def read(name):
        path = _RECORDINGS / f"{name}.json"
        if not path.exists():
            pytest.skip("no recordings beside the repository")
        return orjson.loads(path.read_bytes())["body"]

    return read
