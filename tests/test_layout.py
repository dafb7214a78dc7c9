"""Who opens a folder sees what lives there."""

from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src" / "promptable"
MOST = 12


def test_a_folder_has_few_modules() -> None:
    folders = [SOURCES, *(path for path in SOURCES.rglob("*") if path.is_dir())]
    modules = {folder: {path.name for path in folder.glob("*.py")} - {"__init__.py"} for folder in folders}
    crowded = {str(folder.relative_to(SOURCES)): len(names) for folder, names in modules.items() if len(names) > MOST}
    assert not crowded, f"more than {MOST} modules: a part of them wants a folder of its own"
    assert sum(map(len, modules.values())) > MOST, "these are the sources"
