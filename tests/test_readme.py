"""The pages for people: short, and without dead links."""

import re
from pathlib import Path

import pytest

from promptable.config import labels

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "labels.md"], ids=lambda page: page.name)
def test_the_labels_it_shows_are_accepted(page: Path, tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "labels.yaml"
    file.write_text("\n".join(examples), encoding="utf-8")
    assert "велосипед" in [label.name for label in labels.load(labels.render(file))]
