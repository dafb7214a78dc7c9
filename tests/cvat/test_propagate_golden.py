"""The JSON that is written for a small case, as CVAT 2.73 took it and gave it back."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.propagate.content import content
from promptable.cvat.server.comparison import values
from tests.cvat.propagating import draw, prepare, propagate
from toy.cvat.stand_in import StandIn

RECORDED = json.loads((Path(__file__).with_name("recordings") / "propagated.json").read_text())
"""``sent``: the requests to job 1, in order; ``stored``: what CVAT 2.73 had afterwards, with this test's ids of labels
and attributes."""


def written(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What is sent for a box that is lost for a while, a polygon and a mask: action and body of each request."""
    prepare(cvat)
    values = [{"spec_id": 7, "value": "AB 12"}, {"spec_id": 8, "value": "true"}]
    draw(cvat, (10, 60, 30, 80), group=3, attributes=values, occluded=True)
    draw(cvat, (50, 20, 70, 20, 70, 40), "polygon", label_id=1, z_order=2)
    draw(cvat, (1, 1, 1, 3, 10, 20, 12, 21), "mask")
    sent, patch = [], cvat.annotations.patch

    def noting(job: int, action: str, given: Mapping[str, Any]) -> dict[str, Any]:
        sent.append({"action": action} | {kind: given[kind] for kind in ("shapes", "tracks")})
        return patch(job, action, deepcopy(given))

    monkeypatch.setattr(cvat.annotations, "patch", noting)
    assert propagate(cvat, "--job", "1", "--to", "9") == 0
    return json.loads(json.dumps(sent))


def test_what_is_sent(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(cvat, monkeypatch) == RECORDED["sent"]


def test_what_the_server_stores_is_recognised(cvat: StandIn) -> None:
    """After a kill that is how a run finds what has arrived."""
    for kind in ("shape", "track"):
        sent = [one for request in RECORDED["sent"] if request["action"] == "create" for one in request[f"{kind}s"]]
        stored = {content(one, kind): one for one in RECORDED["stored"][f"{kind}s"]}
        assert sent
        for one in sent:
            found = stored[content(one, kind)]
            assert values(one).items() <= values(found).items()
            assert (found["group"], found["source"]) == (one["group"], one["source"])
