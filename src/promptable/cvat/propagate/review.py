"""Where a person should look at what was followed: lost, back, jumped, shrunk or grown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from promptable.cvat.keyframes import box_iou
from promptable.cvat.propagate.position import Position

_JUMP_IOU = 0.3
_GROWN = 1.5


@dataclass(frozen=True)
class Doubt:
    """Something about an object on a frame that is worth a look."""

    frame: int
    what: str


def doubts(found: Iterable[tuple[int, Position | None]]) -> Iterator[Doubt]:
    """Of one object, whose positions come frame by frame, None where it was lost."""
    last: Position | None = None
    was_lost = False
    for frame, position in found:
        if position is None:
            if last is not None and not was_lost:
                yield Doubt(frame, "lost")
            was_lost = True
            continue
        if was_lost:
            yield Doubt(frame, "back")
        elif last is not None and (what := _change(last, position)) is not None:
            yield Doubt(frame, what)
        last, was_lost = position, False


def _change(last: Position, position: Position) -> str | None:
    """What is unlikely between neighbouring frames: boxes of IoU below 0.3, or half as large or half as large again."""
    if box_iou(last.box, position.box) < _JUMP_IOU:
        return "jumped"
    before, now = (float((box[2:] - box[:2]).prod()) for box in (last.box, position.box))
    if now > before * _GROWN:
        return "grew"
    return "shrank" if now < before / 2 else None
