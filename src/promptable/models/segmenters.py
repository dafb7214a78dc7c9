"""SAM or SAM 2.1 by the name of the model."""

from pathlib import Path

from promptable.models.checkpoints import locate
from promptable.models.segmenter import Segmenter


def load(model: str, weights_dir: Path, device: str, precision: str = "fp32") -> Segmenter:
    """SAM for ``vit_*`` and folders with ``config.json``, SAM 2.1 for ``sam2.1-*`` and folders with ``config.yaml``.

    Raises FileNotFoundError or ValueError, with the remedy, as ``checkpoints.locate`` and the two adapters do.
    """
    config = locate(model, weights_dir).config
    if model.startswith("sam2.1-") if config is None else config.suffix == ".yaml":
        from promptable.models import sam2_image

        return sam2_image.load(model, weights_dir, device, precision)
    from promptable.models import sam

    return sam.load(model, weights_dir, device, precision)
