"""The files of official checkpoints, for both sides of a build; without torch."""

from promptable.models import catalogue
from promptable.models.catalogue import Download


def needed(model: str) -> list[Download]:
    """The files of an official model; of a model folder none is official."""
    checkpoint = catalogue.OFFICIAL.get(model)
    return [checkpoint, *checkpoint.beside] if checkpoint else []
