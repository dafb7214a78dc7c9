"""``promptable annotate --images``: a folder of pictures to COCO, without any CVAT."""

import io
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from promptable.cvat.annotate import folder as annotate_folder
from promptable.cvat.geometry import run_lengths
from toy.cvat.stand_in import StandIn

HW = (40, 60)
LABELS = [
    {"name": name, "type": kind, "threshold": 0.3, "max_area": 1.0, "marks": None}
    for name, kind in (("rust", "rectangle"), ("crack", "mask"), ("dent", "polygon"))
]
BOXES = [[2, 3, 12, 13], [20, 5, 26, 9], [30, 30, 50, 39]]
PIXELS = np.array([[0, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 0, 0]], bool)


def detect_each_type(request: dict[str, Any]) -> dict[str, Any]:
    """One object of each type, of which the last is below its threshold."""
    outline = [30, 30, 50, 30, 50, 39]
    masks = [
        {"box": BOXES[1], "rle": run_lengths.encode(PIXELS, 20, 5), "polygon": outline, "filled": False},
        {"box": BOXES[2], "rle": [0, 180, 30, 30, 49, 38], "polygon": outline, "filled": True},
    ]
    return {
        "hw": HW,
        "floor": request["floor"],
        "labels": LABELS,
        "rules": {"nms_iou": 0.6, "cross_label_iou": 1.0, "limit": 300},
        "proposals": {
            "boxes": BOXES,
            "labels": [0, 1, 2],
            "scores": [0.9, 0.5, 0.7],
            "captions": [0, 0, 0],
            "cut": [[0] * 4] * 3,
            "beyond_overlap": [0] * 3,
        },
        "masks": masks,
    }


@pytest.fixture
def folder(cvat: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(detector, "PAUSES", ())
    cvat.answers = {"": detect_each_type}
    folder = tmp_path / "pictures"
    (folder / "b").mkdir(parents=True)
    for name in ("a.png", "b/c.png"):
        Image.new("RGB", (HW[1], HW[0])).save(folder / name)
    return folder


def _annotate(cvat: StandIn, folder: Path, *options: str) -> int:
    where = ["--images", str(folder), "--output", str(folder.parent / "out")]
    return main(["annotate", *where, "--function", f"{cvat.url}/", *options])


def _written(folder: Path) -> Path:
    return folder.parent / "out" / "annotations" / "instances_default.json"


def test_files_of_other_kinds_are_named(cvat: StandIn, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (HW[1], HW[0])).save(folder / "b" / "scan.JFIF", "JPEG")
    for name in ("photo.HEIC", "b/photo.heic", "notes.txt", ".hidden"):
        (folder / name).touch()
    assert _annotate(cvat, folder) == 0
    assert "left alone: 3 files of other kinds (.heic, .txt)" in capsys.readouterr().out
    assert len(json.loads(_written(folder).read_text())["images"]) == 3


@pytest.mark.parametrize("labels", [(), ("--labels", "labels.yaml")])
def test_what_a_function_that_describes_nothing_finds_is_a_category(
    cvat: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...]
) -> None:
    """It answers with a plain list, and takes no notice of the labels that it is asked for."""
    monkeypatch.chdir(folder.parent)
    Path("labels.yaml").write_text("- cat")
    cvat.answers = {"": [{"label": "dog", "confidence": 0.9, "type": "rectangle", "points": [1, 1, 20, 20]}]}
    assert _annotate(cvat, folder, *labels) == 0
    coco = json.loads(_written(folder).read_text())
    names = {one["id"]: one["name"] for one in coco["categories"]}
    assert [names[one["category_id"]] for one in coco["annotations"]] == ["dog", "dog"]
    assert list(names.values()) == (["cat", "dog"] if labels else ["dog"])


def test_a_run_does_not_go_on_with_other_pictures(
    cvat: StandIn, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(annotate_folder, "write_coco", interrupted)
        assert _annotate(cvat, folder) == 130
    Image.new("RGB", (6, 4)).save(folder / "a.png")
    assert _annotate(cvat, folder) == 1
    said = capsys.readouterr().err
    assert "was begun with other pictures in the folder: finish it with the same options, or leave it as it is" in said
    assert "--undo" not in said
    assert _annotate(cvat, folder, "--new-run") == 0


def test_pycocotools_reads_boxes_masks_and_polygons_with_scores(cvat: StandIn, folder: Path) -> None:
    assert _annotate(cvat, folder, "--min-confidence", "0.4") == 0
    coco = COCO(_written(folder))
    assert [image["file_name"] for image in coco.dataset["images"]] == ["a.png", "b/c.png"]
    first = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert {coco.cats[one["category_id"]]["name"]: one["score"] for one in first} == {
        "rust": 0.9,
        "dent": 0.7,
        "crack": 0.5,
    }
    box, polygon, mask = sorted(first, key=lambda one: -one["score"])
    assert (box["bbox"], box["area"]) == ([2, 3, 10, 10], 100)
    assert (polygon["segmentation"], polygon["area"]) == ([[30, 30, 50, 30, 50, 39]], 90)
    whole = np.zeros(HW, bool)
    whole[5:9, 20:26] = PIXELS
    assert (coco.annToMask(mask) == whole).all()
    assert mask["area"] == PIXELS.sum() == coco_mask.area(coco.annToRLE(mask))


@pytest.mark.parametrize("ending", ["avif", "bmp", "gif", "JPG", "jp2", "pgm", "png", "tiff", "webp"])
def test_a_picture_of_every_kind_that_the_functions_read_is_asked_about(
    cvat: StandIn, folder: Path, ending: str
) -> None:
    Image.new("L", (HW[1], HW[0])).save(folder / f"d.{ending}")
    assert _annotate(cvat, folder) == 0
    assert len(json.loads(_written(folder).read_text())["images"]) == 3


def test_a_picture_that_fails_is_listed_and_a_resumed_run_asks_the_rest_only(
    cvat: StandIn, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    cvat.failures = [(500, {})]
    assert _annotate(cvat, folder) == 1
    assert _annotate(cvat, folder) == 3
    assert "\nbroken.png failed: that is no picture, or a damaged one\n" in capsys.readouterr().err
    assert len(json.loads(_written(folder).read_text())["annotations"]) == 6


def test_what_the_function_refuses_is_asked_once(
    cvat: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detector, "PAUSES", (0.0, 0.0))
    cvat.answers = {"": lambda request: detect_each_type(request) if request["floor"] == 1 else _refuse()}
    assert _annotate(cvat, folder) == 3
    assert len(cvat.bodies) == 1 + 2, "the gray picture, and each of the two once"
    assert "b/c.png failed: " in capsys.readouterr().err


def _refuse() -> None:
    raise ValueError


def _with_broken_exif() -> bytes:
    """A whole picture, in which Pillow trips over the metadata."""
    file = io.BytesIO()
    Image.new("RGB", (HW[1], HW[0])).save(file, "PNG", exif=b"Exif\0\0no TIFF")
    return file.getvalue()


def _too_large() -> bytes:
    """The header of a BMP of 1.6 gigapixels, which Pillow takes for an attack."""
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_with_broken_exif(), "not a TIFF file"),
        (_too_large(), "exceeds limit"),
        (b"%!PS-Adobe-3.0\n", "is no"),
    ],
    ids=["metadata", "size", "a program for Ghostscript"],
)
def test_no_picture_stops_the_others(
    cvat: StandIn, folder: Path, capsys: pytest.CaptureFixture[str], data: bytes, why: str
) -> None:
    (folder / "b" / "odd.png").write_bytes(data)
    assert _annotate(cvat, folder) == 3
    assert re.search(rf"(?m)^b/odd.png failed: .*{why}", capsys.readouterr().err)
    assert len(json.loads(_written(folder).read_text())["annotations"]) == 6


@pytest.mark.parametrize(
    "option", ["--dry-run", "--undo=last", "--limit=1", "--frames=0", "--replace", "--create-labels"]
)
def test_what_is_about_tasks_is_refused_and_asks_no_function(
    cvat: StandIn, folder: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert _annotate(cvat, folder, option) == 2
    assert f"a folder has no use for {option.partition('=')[0]}: leave it out" in capsys.readouterr().err
    assert not cvat.bodies
    assert not (folder.parent / "out").exists()


@pytest.mark.parametrize("command", [("annotate", "--output", "out"), ("preview", "--labels", "labels.yaml")])
def test_a_name_that_is_not_utf_8_is_a_sentence(
    cvat: StandIn, folder: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(next(folder.glob("*.png")).read_bytes())
    (folder.parent / "labels.yaml").write_text("- rust\n")
    assert main([*command, "--images", str(folder), "--function", cvat.url]) == 1
    assert "caf\\udce9.png' is not named in UTF-8: rename it" in capsys.readouterr().err


def test_other_pictures_are_another_run(cvat: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("promptable.cvat.annotate.folder.write_coco", _interrupt)
        assert _annotate(cvat, folder) == 130
    asked = len(cvat.bodies)
    assert _annotate(cvat, folder) == 0
    assert len(cvat.bodies) - asked == 1, "only the gray picture: what was found is in the journal"
    with monkeypatch.context() as patched:
        patched.setattr("promptable.cvat.annotate.folder.write_coco", _interrupt)
        assert _annotate(cvat, folder) == 130
    (folder / "a.png").rename(folder / "z.png")
    assert _annotate(cvat, folder) == 1
    assert _annotate(cvat, folder, "--new-run") == 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
