"""``promptable propagate`` over a stand-in for CVAT, against one request an object and frame; its memory.

SAM 2.1 tiny of the real size with random weights follows five masks through a few frames of 1080p (PNG, as CVAT gives
the frames of a video). A frame of five objects is five requests to the other tracker, of which the first object's is
measured. *Beyond the model* is the share of a frame's time in which no image is encoded and no object followed:
fetching, decoding, what is remembered, run lengths, the journal; there discs are answered in place of what random
weights find, which is noise. *Memory* is the most that the command's process held, with a tracker that costs nothing.
"""

import base64
import io
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import urllib3
from numpy.typing import NDArray
from PIL import Image

from benchmarks.cvat_server import served
from benchmarks.measure import Measurement, Row, beside, in_fresh_process, peak_megabytes
from promptable.cli.main import main
from promptable.wire.masks import mask_to_rle, rle_to_mask
from toy.cvat.stand_in import TOKEN, StandIn, Task
from toy.metrics import mask_iou

_TASK, _JOB = 3, 1
_HW = (1080, 1920)
_OBJECTS = 5
_FRAMES, _QUICK_FRAMES = 5, 3
_FEW, _MANY = 100, 1000

Mask = NDArray[np.bool_]


def measurements(quick: bool) -> list[Measurement]:
    """All; ``quick``: through fewer frames, and without what is beyond the model."""
    if quick:
        return [Measurement("the real model", partial(_compared, _QUICK_FRAMES)), _memory_of(_FEW)]
    return [
        Measurement("the real model", partial(_compared, _FRAMES)),
        Measurement("beyond the model", partial(_shares, _FRAMES)),
        *map(_memory_of, (_FEW, _MANY)),
    ]


def _compared(frames: int) -> list[Row]:
    single, their_masks = in_fresh_process(_one_object, frames)
    ours, masks, _ = in_fresh_process(_propagate, frames, "ours")
    iou = np.mean([mask_iou(each[0], theirs) for each, theirs in zip(masks, their_masks, strict=True)])
    return [beside(f"{_what(frames)}, one request an object", _OBJECTS * single, ours, {"mask IoU": float(iou)})]


def _shares(frames: int) -> list[Row]:
    _, _, shares = in_fresh_process(_propagate, frames, "ours_of_discs")
    return [Row(f"{_what(frames)}, share of a frame", {f"{name} %": 100 * share for name, share in shares.items()})]


def _what(frames: int) -> str:
    return f"{_OBJECTS} objects, {frames - 1} frames"


def _memory_of(frames: int) -> Measurement:
    return Measurement(f"memory, {frames:,} frames", partial(_memory_row, frames))


def _memory_row(frames: int) -> list[Row]:
    return [Row(f"memory, {frames:,} frames of {_OBJECTS} masks", {"MB": in_fresh_process(_memory, frames)})]


def _propagate(frames: int, which: str) -> tuple[float, list[list[Mask]], Mapping[str, float]]:
    """Seconds a frame; the masks that CVAT holds then, by frame behind the first and object; shares of the time.

    The shares are what is beyond the model, and how much of that is in the function.
    """
    with served(partial(_real, frames, which)) as url:
        _command(url)
        clock = _asked(url, "clock")
        held = _got(url, f"api/jobs/{_JOB}/annotations")
    whole = [later - earlier for earlier, later in pairwise(clock["answered"])]
    model, function = clock["model"][1:], clock["function"][1:]
    shares = {
        "beyond the model": 1 - sum(model) / sum(whole),
        "of it in the function": (sum(function) - sum(model)) / sum(whole),
    }
    shapes = sorted(held["shapes"], key=lambda one: (one["frame"], one["group"]))
    masks = [rle_to_mask(one["points"], _HW) for one in shapes if one["frame"]]
    by_frame = [masks[at : at + _OBJECTS] for at in range(0, len(masks), _OBJECTS)]
    return sum(whole) / len(whole), by_frame, shares


def _one_object(frames: int) -> tuple[float, list[Mask]]:
    """Seconds of a request for one object of a frame, which is fetched and sent for it alone; its masks by frame."""
    http = urllib3.PoolManager()
    with served(partial(_real, frames, "plain")) as url:
        states = _ask(http, url, 0, {"shapes": _shapes()[:1]})["states"]
        began, masks = time.perf_counter(), []
        for frame in range(1, frames):
            answer = _ask(http, url, frame, {"states": states})
            states = answer["states"]
            masks.append(rle_to_mask(answer["shapes"][0]["points"], _HW))
        return (time.perf_counter() - began) / (frames - 1), masks


def _ask(http: Any, url: str, frame: int, fields: Mapping[str, Any]) -> Any:
    where = f"{url}/api/tasks/{_TASK}/data?type=frame&number={frame}&quality=original"
    data = http.request("GET", where, headers={"Authorization": f"Bearer {TOKEN}"}).data
    body = json.dumps({**fields, "image": base64.b64encode(data).decode()})
    return json.loads(http.request("POST", f"{url}/", body=body, timeout=600.0).data)


def _memory(frames: int) -> float:
    with served(partial(_instant, frames)) as url:
        _command(url)
        return peak_megabytes()


def _command(url: str) -> None:
    """The command, in this process, to its end."""
    with TemporaryDirectory() as state, redirect_stdout(sys.stderr):
        os.environ |= {"XDG_STATE_HOME": state, "CVAT_ACCESS_TOKEN": TOKEN}
        where = ["--task", str(_TASK), "--url", url, "--function", f"{url}/", "--page", f"{state}/page.html"]
        if status := main(["propagate", *where]):
            raise RuntimeError(f"propagate ended with {status}")


def _asked(url: str, name: str) -> Any:
    return json.loads(urllib3.request("POST", f"{url}/{name}", body="{}").data)


def _got(url: str, path: str) -> Any:
    return json.loads(urllib3.request("GET", f"{url}/{path}", headers={"Authorization": f"Bearer {TOKEN}"}).data)


def _real(frames: int, which: str) -> StandIn:
    """A video, and a tracker of ``propagate_models``."""
    from benchmarks import propagate_models

    clock = propagate_models.Clock()
    answer = clock.function_of(getattr(propagate_models, which)(clock))
    return _stand_in([_picture(number) for number in range(frames)], {"": answer, "clock": clock.as_json})


def _instant(frames: int) -> StandIn:
    """A long video and a tracker of objects that stand still."""
    return _stand_in([_packed(Image.new("RGB", (640, 480)))] * frames, {"": _stand_still})


def _stand_still(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The masks as they were drawn, or one that the command asks about before it begins."""
    shapes = request.get("shapes", _shapes())
    return {
        "shapes": [{**one, "score": 0.9} for one in shapes],
        "states": [{"memories": ["x" * 16] * 16}] * len(shapes),
    }


def _stand_in(pictures: Sequence[bytes], answers: dict[str, Any]) -> StandIn:
    cvat = StandIn(
        tasks={_TASK: Task(pictures, _HW, [(_JOB, "annotation", 0, len(pictures) - 1)], video=True)},
        labels={("task_id", _TASK): [("disc", "mask")]},
        answers=answers,
        attributes=[
            {"id": 1, "name": "note", "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
        ],
    )
    cvat.annotations.patch(_JOB, "create", {"shapes": [{**_DRAWN, **shape} for shape in _shapes()]})
    return cvat


_DRAWN: Mapping[str, Any] = {
    "frame": 0,
    "label_id": 0,
    "group": 0,
    "source": "manual",
    "occluded": False,
    "outside": False,
    "z_order": 0,
    "rotation": 0,
    "attributes": [],
    "score": 1.0,
}


def _shapes() -> list[dict[str, Any]]:
    """Discs as masks."""
    from benchmarks.tracker_scene import discs

    return [{"type": "mask", "points": mask_to_rle(mask).tolist()} for mask in discs(_OBJECTS)]


def _picture(number: int) -> bytes:
    from benchmarks.tracker_scene import jpeg, picture

    return _packed(Image.fromarray(np.roll(picture(jpeg(0)), 8 * number, 1)))


def _packed(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return packed.getvalue()
