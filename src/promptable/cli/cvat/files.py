"""What commands write where people say: a page, its figures."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """The text as a file; a folder that is missing is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
