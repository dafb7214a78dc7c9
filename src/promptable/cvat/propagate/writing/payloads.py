"""What ``JobAnnotations.change`` takes, made from the items of a write."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK

Item = Mapping[str, Any]
"""An item of a ``propagate.journal.Write``."""
Defaults = Mapping[int, Mapping[int, str]]
"""The default values of attributes, by label id and spec id, of all labels that the task has now."""


def payload(items: Sequence[Item], key: str) -> dict[str, list[Any]]:
    """The shapes and tracks under ``key`` (new or before) of the items."""
    return {f"{kind}s": [item[key] for item in items if item["kind"] == kind] for kind in (SHAPE, TRACK)}


def storable_payload(items: Sequence[Item], key: str, defaults: Defaults) -> dict[str, list[Any]]:
    """As ``payload``, without labels and attributes that the task no longer has: CVAT would refuse the request."""
    known = [item for item in items if has_label(item, key, defaults)]
    return payload([{**item, key: _without_lost_attributes(item[key], defaults)} for item in known], key)


def has_label(item: Item, key: str, defaults: Defaults) -> bool:
    """Whether the task still has the label of what is under ``key`` of an item."""
    return item[key]["label_id"] in defaults


def _without_lost_attributes(one: Mapping[str, Any], defaults: Defaults) -> dict[str, Any]:
    """A shape, or a track with its keyframes, without the attributes that its label no longer has."""
    specs = defaults[one["label_id"]]

    def kept(part: Mapping[str, Any]) -> dict[str, Any]:
        return {**part, "attributes": [value for value in part["attributes"] if value["spec_id"] in specs]}

    return kept(one) | ({"shapes": [kept(key) for key in one["shapes"]]} if "shapes" in one else {})
