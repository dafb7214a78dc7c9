"""SAM or SAM 2.1 by the name of the model."""

from pathlib import Path

from promptable.models.segmentation.segmenter import Segmenter
from promptable.models.weights import locate


def load(model: str, weights_dir: Path, device: str, precision: str = "fp32") -> Segmenter:
    """SAM for ``vit_*`` and folders with ``config.json``, SAM 2.1 for ``sam2.1-*`` and folders with ``config.yaml``.

    Raises FileNotFoundError or ValueError, with the remedy, as ``checkpoints.locate`` and the two adapters do.
    """
    config = locate(model, weights_dir).config
    if model.startswith("sam2.1-") if config is None else config.suffix == ".yaml":
        from promptable.models.sam2 import segmenter as sam2_image

        return sam2_image.load(model, weights_dir, device, precision)
    from promptable.models.sam import segmenter as sam

    return sam.load(model, weights_dir, device, precision)
