"""The names of the tracker's memory rules; ``memory_rules`` holds what they mean. Importable without torch."""

from enum import StrEnum


class TrackMemory(StrEnum):
    """Which frames become memory."""

    ALL = "all"
    VISIBLE = "visible"
    DISTRACTOR = "distractor"
