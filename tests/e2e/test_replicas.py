"""Two processes on one Redis carry the same track, frame by frame in turns, and one alone when the other is gone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.client import Client
from promptable.local.options import Options
from promptable.local.server import serve
from promptable.wire.masks import mask_to_rle
from tests.e2e.conftest import ROOT, TOY
from tests.redis_server import running_redis
from toy.scenes import video


@contextmanager
def _replica(environment: Mapping[str, str], log: Path) -> Iterator[Client]:
    options = Options(dashboard_port=0, port_base=0, models=TOY, env=environment, log=log)
    with serve(ROOT / "functions", ["sam2-tracker"], options) as served:
        served.require_ready()
        yield Client({"sam2-tracker": served.url("sam2-tracker")})


def test_a_track_goes_from_process_to_process(client: Client, tmp_path: Path) -> None:
    clip = video(40_000_000, leaving=0.0)
    shapes = [{"type": "mask", "points": mask_to_rle(thing.mask).tolist()} for thing in clip[0].objects]
    alone, states = [], client.start_tracking(clip[0].image, shapes)
    for scene in clip[1:]:
        found, states = client.track(scene.image, states)
        alone.append(found)
    with running_redis() as server, _replica(server.variables, tmp_path / "a") as survivor:
        shared = []
        with _replica(server.variables, tmp_path / "b") as other:
            states = other.start_tracking(clip[0].image, shapes)
            for frame, scene in enumerate(clip[1:8]):
                found, states = (survivor, other)[frame % 2].track(scene.image, states)
                shared.append(found)
        for scene in clip[8:]:
            found, states = survivor.track(scene.image, states)
            shared.append(found)
    assert shared == alone
