"""How many small objects tiles find, and at what precision: ``python -m toy.evaluate_tiling``."""

from pathlib import Path

import torch

from promptable.models.detection.tiling import Tiling
from promptable.models.grounding_dino.detector import load
from toy.crowds import crowd, scores

FOLDER = Path(__file__).parent / "grounding-dino"
SEED, PICTURES = 70_000_000, 8
HW = (2160, 3840)
LARGE, SMALL = 5, 40
THRESHOLDS = (0.3, 0.35, 0.4, 0.45)
TILES = Tiling(160, 0.25)  # the toy detector sees 128 pixels


def main() -> None:
    """Print precision and recall without and with tiles, both at one threshold, on pictures of one size."""
    torch.set_num_threads(1)
    detector = load(str(FOLDER), FOLDER, "cpu")
    crowds = [crowd(seed, HW, LARGE, SMALL) for seed in range(SEED, SEED + PICTURES)]
    whole, tiled = (scores(detector, crowds, tiling, THRESHOLDS) for tiling in (Tiling(), TILES))
    print(f"{PICTURES} pictures of {HW[1]} x {HW[0]}, each with {SMALL} objects of 24 to 40 px and {LARGE} large ones")
    print("threshold  without: precision recall  with tiles: precision recall  times the recall")
    for one, other in zip(whole, tiled, strict=True):
        print(
            f"{one.threshold:9} {one.precision:19.3f} {one.recall:6.3f} {other.precision:22.3f} {other.recall:6.3f}"
            f" {other.recall / one.recall:17.1f}"
        )


if __name__ == "__main__":
    main()
