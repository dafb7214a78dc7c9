from pathlib import Path

import orjson
import pytest

_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"


@pytest.fixture
def recording():
    """Reads the body of a request as a CVAT server sent it, by name; skips where the recordings are not at hand."""

    def read(name):
        path = _RECORDINGS / f"{name}.json"
        if not path.exists():
            pytest.skip("no recordings beside the repository")
        return orjson.loads(path.read_bytes())["body"]

    return read
