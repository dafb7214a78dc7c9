"""A preview page: two label lists on generated pictures, their thresholds to move."""

from pathlib import Path

from PIL import Image

from promptable.cli.main import main
from toy.scenes import scene

_SEEDS = range(21_000_000, 21_000_005)
_LISTS = {
    "colours": "- {name: red, type: mask, prompts: [red circle, red square, red triangle, red star]}\n"
    "- {name: blue, type: polygon, prompts: [blue circle, blue square, blue triangle, blue star]}\n",
    "shapes": "- {name: circle, type: mask, prompts: [red circle, green circle, blue circle, yellow circle]}\n"
    "- {name: star, prompts: [red star, green star, blue star, yellow star]}\n",
}


def write(folder: Path, function_url: str) -> Path:
    """Write ``preview.html`` into the folder, beside its pictures and label lists. Raises SystemExit where it fails."""
    pictures = folder / "preview"
    pictures.mkdir(exist_ok=True)
    for seed in _SEEDS:
        Image.fromarray(scene(seed).image).save(pictures / f"{seed}.png")
    variants = []
    for name, text in _LISTS.items():
        (pictures / f"{name}.yaml").write_text(text, encoding="utf-8")
        variants += ["--variant", f"{name}={pictures / name}.yaml"]
    page = folder / "preview.html"
    source = ["--images", str(pictures), "--function", function_url]
    if status := main(["preview", *source, *variants, "--output", str(page)]):
        raise SystemExit(status)
    return page
