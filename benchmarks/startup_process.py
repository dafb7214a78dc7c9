"""A function from the start of its process to its first answer; ``benchmarks.startup`` holds the watch.

Run as ``python -m benchmarks.startup_process WAY MODEL FOLDER``. It prints ``ready`` when it could take a request, and
then, once it has answered one, the memory that it holds as JSON. "ours" is the function as Nuclio loads it, "plain" is
what the README of the model's package says. Nothing is imported before it is needed: imports count, too.
"""

import base64
import importlib.util
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_CLICK, _BOX = [960.0, 540.0], [100.0, 100.0, 900.0, 700.0]

Answer = Callable[[], object]


def main() -> None:
    """Load, answer, and say what it took."""
    way, model, folder = sys.argv[1:]
    answer = _WAYS[way](model, Path(folder))
    print("ready", flush=True)
    answer()
    print(json.dumps(_megabytes()), flush=True)


def _megabytes() -> Mapping[str, float]:
    """What this process holds: in all, of its own (the rest are pages of files, which others share), and at most."""
    named = {"VmRSS": "resident", "RssAnon": "private", "VmHWM": "peak"}
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {named[key[:-1]]: int(rest[0]) / 1024 for key, *rest in lines if key[:-1] in named}


def _ours(model: str, folder: Path) -> Answer:
    import nuclio_sdk
    import nuclio_sdk.event

    function, fields = _REQUESTS[model]
    main = _imported(_ROOT / "functions" / function / "main.py")
    logger = nuclio_sdk.Logger("ERROR", "startup")
    logger.set_handler("default", io.StringIO(), nuclio_sdk.logger.HumanReadableFormatter())
    context = nuclio_sdk.Context(logger)
    main.init_context(context)

    def answer() -> None:
        image = base64.b64encode((folder / "picture.jpg").read_bytes()).decode()
        response = main.handler(context, nuclio_sdk.Event(body={"image": image, **fields}))
        if response.status_code != 200:
            raise RuntimeError(response.body)

    return answer


_CLICKED: Mapping[str, Any] = {"pos_points": [_CLICK], "neg_points": [], "obj_bbox": []}
_REQUESTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vit_b": ("sam-interactor", _CLICKED),
    "sam2": ("sam-interactor", _CLICKED),
    "sam2-video": ("sam2-tracker", {"shapes": [{"type": "rectangle", "points": _BOX}], "states": []}),
    "grounding-dino": ("grounding-dino", {}),
}


def _imported(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("function_main", file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _plain(model: str, folder: Path) -> Answer:
    return _PLAIN[model](folder)


def _plain_vit_b(folder: Path) -> Answer:
    from segment_anything import SamPredictor, sam_model_registry

    predictor = SamPredictor(sam_model_registry["vit_b"](checkpoint=str(folder / "vit_b.pth")))
    return lambda: _clicked(predictor, folder)


def _plain_sam2(folder: Path) -> Answer:
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    built = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", str(folder / "sam2.pt"), device="cpu")
    predictor = SAM2ImagePredictor(built)
    return lambda: _clicked(predictor, folder)


def _clicked(predictor: Any, folder: Path) -> None:
    import numpy as np
    from PIL import Image

    predictor.set_image(np.array(Image.open(folder / "picture.jpg").convert("RGB")))
    predictor.predict(np.array([_CLICK]), np.ones(1))


def _plain_sam2_video(folder: Path) -> Answer:
    from sam2.build_sam import build_sam2_video_predictor

    checkpoint = str(folder / "sam2.pt")
    predictor = build_sam2_video_predictor("configs/sam2.1/sam2.1_hiera_t.yaml", checkpoint, device="cpu")

    def answer() -> None:
        state = predictor.init_state(str(folder / "video"))
        predictor.add_new_points_or_box(state, 0, 1, box=_BOX)

    return answer


def _plain_grounding_dino(folder: Path) -> Answer:
    """transformers' model: groundingdino's own no longer runs with the transformers of today."""
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    processor = GroundingDinoProcessor.from_pretrained(folder / "transformers")
    network = GroundingDinoForObjectDetection.from_pretrained(folder / "transformers")

    def answer() -> None:
        import torch
        from PIL import Image

        text = (folder / "caption.txt").read_text()
        inputs = processor(images=Image.open(folder / "picture.jpg"), text=text, return_tensors="pt")
        with torch.no_grad():
            outputs = network(**inputs)
        processor.post_process_grounded_object_detection(outputs, inputs.input_ids)

    return answer


_WAYS: Mapping[str, Callable[[str, Path], Answer]] = {"ours": _ours, "plain": _plain}
_PLAIN: Mapping[str, Callable[[Path], Answer]] = {
    "vit_b": _plain_vit_b,
    "sam2": _plain_sam2,
    "sam2-video": _plain_sam2_video,
    "grounding-dino": _plain_grounding_dino,
}

if __name__ == "__main__":
    main()
