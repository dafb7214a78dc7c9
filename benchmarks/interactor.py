"""A click on a picture: the function against decode, ``set_image``, ``predict`` and a full-mask JSON at every click.

SAM ViT-B with random weights: the time and the agreement do not depend on what the weights know.
"""

import base64
import json
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from segment_anything import SamPredictor

from benchmarks.measure import Row, report, timed
from demo.metrics import mask_iou
from promptable.models.sam import PRESETS, SamSegmenter, build
from promptable.serving.interactor import Interactor
from promptable.serving.settings import InteractorSettings
from promptable.wire.masks import rle_to_mask
from tests.toy.scenes import scene

_HW = (1080, 1920)
_CLICKS = ([[960.0, 540.0]], [[400.0, 300.0]], [[1500.0, 800.0]])


def run() -> None:
    """Measure the first and the later clicks at 1080p."""
    torch.manual_seed(0)
    model = build(PRESETS["vit_b"])
    first, *later = [_request(clicks) for clicks in _CLICKS]
    predictor = SamPredictor(model)
    function = Interactor(SamSegmenter(model), InteractorSettings())
    plain_first, plain_mask = timed(lambda: _plain(predictor, first), repeats=1)
    our_first, our_mask = timed(lambda: _ours(function, first), repeats=1)
    rows = [Row("first click, ViT-B, 1080p", plain_first, our_first, mask_iou(plain_mask, our_mask))]
    for number, request in enumerate(later, start=2):
        plain_seconds, plain_mask = timed(lambda request=request: _plain(predictor, request), repeats=1)
        our_seconds, our_mask = timed(lambda request=request: _ours(function, request), repeats=5)
        rows.append(Row(f"click {number}", plain_seconds, our_seconds, mask_iou(plain_mask, our_mask)))
    report("interactor", rows)


def _request(clicks: list[list[float]]) -> bytes:
    picture = Image.fromarray(scene(1, size=_HW[1]).image[: _HW[0]])
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    image = base64.b64encode(buffer.getvalue()).decode()
    return json.dumps({"image": image, "pos_points": clicks, "neg_points": [], "obj_bbox": []}).encode()


def _plain(predictor: SamPredictor, body: bytes) -> np.ndarray:
    """What a handler written straight from SAM's README does."""
    request = json.loads(body)
    image = np.array(Image.open(BytesIO(base64.b64decode(request["image"]))).convert("RGB"))
    predictor.set_image(image)
    points = np.array(request["pos_points"])
    masks, scores, _ = predictor.predict(points, np.ones(len(points)), multimask_output=True)
    mask = masks[scores.argmax()]
    json.dumps({"mask": mask.astype(int).tolist()})
    return mask


def _ours(function: Interactor, body: bytes) -> np.ndarray:
    shapes = json.loads(function(body))["shapes"]
    return rle_to_mask(shapes[0]["points"], _HW) if shapes else np.zeros(_HW, bool)
