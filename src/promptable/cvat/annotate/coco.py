"""COCO with scores, as CVAT's import and pycocotools read it."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from promptable.cvat.detection import MASK, POLYGON, TAG, Detection
from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.outlines import area, points_of
from promptable.cvat.journal import Journal


def write_coco(
    path: Path,
    journal: Journal,
    run: int,
    pictures: Sequence[tuple[str, tuple[int, int]]],
    labels: Sequence[Mapping[str, Any]],
) -> None:
    """Write what a run has chosen; frame i is ``pictures[i]``, its name and (height, width).

    Boxes have no segmentation, polygons a list of one, masks run lengths. Tags have no place in COCO. An object at a
    time, so that any number of pictures can be written; the file appears when it is whole. ``coco.zip`` beside its
    folder is the same for CVAT's import.
    """
    categories = _categories(labels, journal, run)
    images = [
        {"id": i + 1, "file_name": name, "height": hw[0], "width": hw[1]} for i, (name, hw) in enumerate(pictures)
    ]
    named = [{"id": number, "name": name} for name, number in categories.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        head = {"info": {}, "licenses": [], "images": images, "categories": named}  # CVAT's reader wants all four
        file.write(f'{json.dumps(head)[:-1]}, "annotations": [')
        for number, (frame, one) in enumerate(_objects(journal, run), 1):
            entry = {"id": number, "image_id": frame + 1, "category_id": categories[one.label]}
            file.write(",\n" * (number > 1) + json.dumps(entry | _geometry(one, pictures[frame][1])))
        file.write("]}\n")
    part.replace(path)
    with zipfile.ZipFile(path.parents[1] / "coco.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(path, f"{path.parent.name}/{path.name}")
        packed.writestr("images/", b"")  # nor does it read without this folder


def _categories(labels: Sequence[Mapping[str, Any]], journal: Journal, run: int) -> dict[str, int]:
    """Numbers by name: of the labels, and of what a function that does not describe its own has found."""
    described = {str(label["name"]): number for number, label in enumerate(labels, 1) if not label.get("marks")}
    others = sorted({one.label for _, one in _objects(journal, run)} - set(described))
    return described | {name: number for number, name in enumerate(others, len(labels) + 1)}


def _objects(journal: Journal, run: int) -> Iterator[tuple[int, Detection]]:
    for one in journal.detections(run):
        if one.detection.chosen and one.detection.type != TAG:
            yield one.frame, one.detection


def _geometry(one: Detection, hw: tuple[int, int]) -> dict[str, Any]:
    """``bbox`` is left, top, width, height."""
    common = {"score": one.stored_score, "iscrowd": int(one.type == MASK)}
    if one.type == MASK:
        return common | _of_mask(one.points, hw)
    xs, ys = one.points[0::2], one.points[1::2]
    left, top, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    box = [round(number, 2) for number in (left, top, width, height)]
    if one.type == POLYGON:
        size = round(area(points_of(one.points)), 2)
        return common | {"bbox": box, "area": size, "segmentation": [list(one.points)]}
    return common | {"bbox": box, "area": round(width * height, 2), "segmentation": []}


def _of_mask(points: Sequence[float], hw: tuple[int, int]) -> dict[str, Any]:
    """COCO's run lengths go down the columns of the whole picture, zeros first."""
    pixels, left, top = run_lengths.decode(points)
    height, width = pixels.shape
    whole = np.zeros(hw, np.bool_)
    whole[top : top + height, left : left + width] = pixels
    columns = whole.ravel(order="F")
    changes = np.flatnonzero(np.diff(columns, prepend=False))
    counts = np.diff(changes, prepend=0, append=columns.size).tolist()
    segmentation = {"size": list(hw), "counts": counts}
    return {"bbox": [left, top, width, height], "area": int(pixels.sum()), "segmentation": segmentation}
