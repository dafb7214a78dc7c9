"""The cleaning of masks, from the settings."""

from promptable.config.settings import MaskSettings
from promptable.wire.clean import Cleaning


def cleaning(settings: MaskSettings) -> Cleaning:
    return Cleaning(settings.fill_holes, settings.remove_specks, settings.largest_part_only, settings.smooth_edges)
