"""SAM 2 as upstream's README uses it on a video, and as a plain serverless tracker does on one object and frame.

The plain tracker keeps upstream's own record of the object in the state that goes through CVAT, as people's published
functions do: JSON whose arrays are base64 of zlib, the form of jsonpickle, which CVAT's own trackers use.
"""

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from sam2.build_sam import build_sam2_video_predictor
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor
from sam2.utils.misc import load_video_frames
from sam2.utils.transforms import SAM2Transforms

from benchmarks import tracker_scene
from benchmarks.tracker_scene import HW, LATEST, Masks
from promptable.models.runtime import device
from promptable.models.sam2.build import official_config
from promptable.wire.masks import mask_to_rle

_NEXT = LATEST + 1
_POINTERS = 16
Record = dict[str, dict[int, dict[str, Any]]]


def predictor(name: str) -> SAM2VideoPredictor:
    """Upstream's predictor; its hole filling needs an extension that is not built."""
    config = f"configs/sam2.1/{official_config(name).name}"
    built: SAM2VideoPredictor = build_sam2_video_predictor(config, device=device.resolve("auto"))
    built.load_state_dict(tracker_scene.model(name).state_dict())
    built.fill_hole_area = 0
    return built


def remembering(predictor: SAM2VideoPredictor, count: int) -> Any:
    """Upstream's inference state of objects whose memory is full; the next frame is in a folder of its own."""
    with TemporaryDirectory() as folder:
        for frame in range(_NEXT + 1):
            (Path(folder) / f"{frame}.jpg").write_bytes(tracker_scene.jpeg(int(frame == _NEXT)))
        state = predictor.init_state(folder)
    for number, mask in enumerate(tracker_scene.discs(count)):
        predictor.add_new_mask(state, 0, number, mask)
    predictor.propagate_in_video_preflight(state)
    for outputs in state["output_dict_per_obj"].values():
        outputs["non_cond_frame_outputs"] = dict.fromkeys(range(1, _NEXT), outputs["cond_frame_outputs"][0])
    state["next"] = TemporaryDirectory()
    (Path(state["next"].name) / f"{_NEXT}.jpg").write_bytes(tracker_scene.jpeg(1))
    return state


def next_frame(predictor: SAM2VideoPredictor, state: Any, precision: str = "readme") -> Masks:
    """One more frame, from its file as ours, unless told otherwise on a GPU in bfloat16 as upstream's README has it."""
    with torch.inference_mode():
        frames, *_ = load_video_frames(
            state["next"].name, predictor.image_size, offload_video_to_cpu=False, compute_device=predictor.device
        )
        state["images"][_NEXT] = frames[0]
    state["cached_features"].clear()
    with autocast(predictor.device, precision):
        ((_, _, logits),) = predictor.propagate_in_video(state, start_frame_idx=_NEXT, max_frame_num_to_track=0)
    return list((logits[:, 0] > 0).cpu().numpy())


def handler(name: str) -> tuple[Callable[[bytes], str], bytes]:
    """A plain tracker's handler, and a request for one more frame of an object whose memory is full."""
    model = tracker_scene.model(name).to(device.resolve("auto"))
    with torch.inference_mode():
        prompt = torch.from_numpy(tracker_scene.discs(1)[0])[None, None].float().to(model.device)
        first = _step(model, tracker_scene.jpeg(0), 0, {}, F.interpolate(prompt, (model.image_size,) * 2))
    record: Record = {
        "cond_frame_outputs": {0: first},
        "non_cond_frame_outputs": dict.fromkeys(range(2, _NEXT), first),
    }
    image = base64.b64encode(tracker_scene.jpeg(1)).decode()
    body = json.dumps({"image": image, "shapes": [None], "states": [_packed(record)]}).encode()
    return lambda body: _answer(model, body), body


@torch.inference_mode()
def _answer(model: SAM2Base, body: bytes) -> str:
    request = json.loads(body)
    record = _unpacked(request["states"][0], model.device)
    output = _step(model, base64.b64decode(request["image"]), _NEXT, record, None)
    mask = (F.interpolate(output["pred_masks"], HW, mode="bilinear") > 0)[0, 0].cpu().numpy()
    recent = {**record["non_cond_frame_outputs"], _NEXT: output}
    record["non_cond_frame_outputs"] = {frame: recent[frame] for frame in list(recent)[1 - _POINTERS :]}
    shape = {"type": "mask", "points": mask_to_rle(mask).tolist() if mask.any() else []}
    return json.dumps({"shapes": [shape], "states": [_packed(record)]})


def _step(model: SAM2Base, data: bytes, frame: int, record: Record, mask: torch.Tensor | None) -> dict[str, Any]:
    pixels = SAM2Transforms(model.image_size, 0)(tracker_scene.picture(data)).to(model.device)
    with autocast(model.device):
        _, features, positions, sizes = model._prepare_backbone_features(model.forward_image(pixels[None]))
        output = model.track_step(
            frame, frame == 0, features, positions, sizes, None, mask, record, num_frames=_NEXT + _POINTERS
        )
    output["maskmem_features"] = output["maskmem_features"].bfloat16()
    names = ("maskmem_features", "maskmem_pos_enc", "pred_masks", "obj_ptr", "object_score_logits")
    return {name: output[name] for name in names}


def autocast(where: torch.device, precision: str = "readme") -> torch.autocast:
    """In ``fp32``, ``bf16``, or as upstream's README has it: bfloat16 on a GPU."""
    half = where.type == "cuda" if precision == "readme" else precision == "bf16"
    return torch.autocast(where.type, torch.bfloat16, enabled=half)


def _packed(record: Record) -> Any:
    """The positional encoding is constant and goes along once."""
    constant = record["cond_frame_outputs"][0]["maskmem_pos_enc"][0]
    frames = {
        kind: {
            frame: {n: _array(t) for n, t in out.items() if n != "maskmem_pos_enc"} for frame, out in outputs.items()
        }
        for kind, outputs in record.items()
    }
    return {**frames, "maskmem_pos_enc": _array(constant)}


def _unpacked(state: Any, where: torch.device) -> Record:
    constant = _tensor(state.pop("maskmem_pos_enc"), where)
    return {
        kind: {
            int(frame): {
                **{name: _tensor(array, where) for name, array in output.items()},
                "maskmem_pos_enc": [constant],
            }
            for frame, output in outputs.items()
        }
        for kind, outputs in state.items()
    }


def _array(tensor: torch.Tensor) -> dict[str, Any]:
    array = tensor.float().cpu().numpy()
    return {"shape": array.shape, "values": base64.b64encode(zlib.compress(array.tobytes())).decode()}


def _tensor(array: dict[str, Any], where: torch.device) -> torch.Tensor:
    values = np.frombuffer(zlib.decompress(base64.b64decode(array["values"])), np.float32)
    return torch.from_numpy(values.reshape(array["shape"]).copy()).to(where)
