"""The groups of objects in CVAT: all masks of one object are in one group."""

from collections.abc import Iterable
from typing import Any

from promptable.cvat.geometry.position import MASK
from promptable.cvat.propagate.changes.earlier_forms import EarlierForms
from promptable.cvat.propagate.objects import Object
from promptable.cvat.server.annotations import read_task


def groups_of(client: Any, task: int, objects: Iterable[Object], earlier_forms: EarlierForms) -> dict[int, int]:
    """The group of each object, by its number; 0 is no group. ``client`` is cvat-sdk's. Raises CvatError.

    Objects keep the group in which people have them. Those without one that become masks get the group of their earlier
    masks, or a new one.
    """
    groups = {}
    ungrouped = []
    for one in objects:
        group = int(one.item["group"] or 0)
        if one.form == MASK and not group:
            group = earlier_forms.group_of(one)
        groups[one.number] = group
        if one.form == MASK and not group:
            ungrouped.append(one.number)
    if ungrouped:
        highest = _highest_group(client, task)
        groups |= {number: highest + i for i, number in enumerate(ungrouped, 1)}
    return groups


def _highest_group(client: Any, task: int) -> int:
    annotations = read_task(client, task)
    items = (one for kind in ("shapes", "tracks", "tags") for one in annotations[kind])
    return max((int(one["group"] or 0) for one in items), default=0)
