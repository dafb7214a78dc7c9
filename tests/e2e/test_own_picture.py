"""The demo on a picture of the user's, here with the toy checkpoints in place of official ones."""

from pathlib import Path

import numpy as np
from PIL import Image

from demo import own_picture, page
from demo.client import Client
from toy.scenes import scene


def test_all_three_functions_answer_and_the_page_shows_them(client: Client, tmp_path: Path) -> None:
    picture, turned = tmp_path / "photo.png", Image.Exif()
    turned[0x0112] = 8
    Image.fromarray(np.rot90(scene(40_000_003).image[:150], -1)).save(picture, exif=turned)
    sections = own_picture.run(client, picture, tmp_path)
    assert [section.title for section in sections] == ["Words", "A click", "A track"]
    with Image.open(tmp_path / "detector.png") as drawn:
        assert drawn.width > drawn.height, "upright"
    page.write(tmp_path / "index.html", "On photo.png.", sections)
    html = (tmp_path / "index.html").read_text()
    for section in sections:
        for file in section.pictures:
            assert f'src="{file}"' in html
            with Image.open(tmp_path / file) as shown:
                assert shown.width >= 192
    with Image.open(tmp_path / "tracker.webp") as animation:
        assert getattr(animation, "n_frames") == 8  # noqa: B009 - unknown to Pillow's types


def test_names_from_outside_are_escaped_on_the_page(tmp_path: Path) -> None:
    page.write(tmp_path / "index.html", "On <script>alert(1)</script>.", [])
    assert "<script>" not in (tmp_path / "index.html").read_text()
