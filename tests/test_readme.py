"""The pages for people: short, without dead links, and they name only what is there."""

import argparse
import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.config import labels
from promptable.config.settings import DetectorSettings, InteractorSettings, RedisSettings, TrackerSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SETTINGS = {
    str(field.alias)
    for settings in (DetectorSettings, InteractorSettings, TrackerSettings, RedisSettings)
    for field in settings.model_fields.values()
} | {"PROMPTABLE_IMAGE", "PROMPTABLE_LABELS"}
"""The functions', and the demo's two."""
FOLDERS = "benchmarks|demo|docker|docs|functions|fuzz|requirements|src|tests|toy|cli|config|models|serving|store|wire"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


@each_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@each_page
def test_every_anchor_is_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert [(to, anchor) for to, anchor in links if anchor not in _anchors(page.parent / to if to else page)] == []


@each_page
def test_every_setting_exists(page: Path) -> None:
    named = set(re.findall(r"\b(?:PROMPTABLE|CVAT_FUNCTIONS)_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert named - SETTINGS == set()


@each_page
def test_every_path_and_module_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = set(re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text))
    paths |= {
        f"{name.replace('.', '/')}.py" for name in re.findall(r"python -m ((?:toy|tests)\.[\w.]*\w)(?!\w*\.)", text)
    }
    roots = ROOT, ROOT / "src" / "promptable"
    assert [path for path in sorted(paths) if not any((root / path).exists() for root in roots)] == []


@each_page
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"[`\n]make ([a-z-]+)", page.read_text(encoding="utf-8"))) - targets == set()


@each_page
def test_every_command_that_is_shown_is_accepted(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", _only_parse)
    for words in _commands(page.read_text(encoding="utf-8")):
        assert main(words) == 0, " ".join(words)


def test_a_command_that_does_not_exist_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", _only_parse)
    (words,) = _commands("```\npromptable stats \\\n    --tasks 7   # a task\n```")
    with pytest.raises(SystemExit):
        main(words)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "labels.md"], ids=lambda page: page.name)
def test_the_labels_it_shows_are_accepted(page: Path, tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "labels.yaml"
    file.write_text("\n".join(examples), encoding="utf-8")
    assert "велосипед" in [label.name for label in labels.load(labels.render(file))]


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of the page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", line.lower())).replace(" ", "-") for line in headings}


def _commands(text: str) -> Iterator[list[str]]:
    """The arguments of each ``promptable`` or ``deploy.sh`` in a block of code; ``...`` stands for a task and a URL."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"(?:[A-Z_]+=\S+ )*(\S*/)?(promptable|deploy\.sh) (.*)", line)
            if found:
                words = shlex.split(re.split(r" [|>] ", found[3])[0], comments=True)
                rest = " ".join(words).replace("...", "--task 12 --function http://localhost:32101").split()
                yield [*(["deploy"] if found[2] == "deploy.sh" else []), *rest]


def _only_parse(parser: argparse.ArgumentParser, words: Sequence[str], namespace: Any = None) -> argparse.Namespace:
    """In place of ``parse_args``: the command is understood, and does nothing."""
    parsed, unknown = parser.parse_known_args(words, namespace)
    if unknown:
        parser.error(f"unrecognized arguments: {unknown}")
    parsed.run = lambda _: 0
    return parsed
