"""How suggested thresholds do on frames that they were not chosen on: ``python -m toy.evaluate_suggestions``."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.annotate.candidates import read_candidates
from promptable.cvat.detection import RECTANGLE, Detection
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.suggest.evidence import Evidence, LabelOnFrame
from promptable.cvat.effort.suggest.thresholds import Goal, counts_of, suggested
from promptable.cvat.functions import DirectFunction, Picture
from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Found, Run
from promptable.local.options import Options
from promptable.local.server import serve
from toy.png import png
from toy.scenes import COLOURS, SHAPES, SIZE, Scene, scenes

SEED, PICTURES, DRAWS = 75_000_000, 400, 10
STARTS, PILOTS = (0.15, 0.35, 0.55), (50, 100)
LABELS = [{"name": shape, "prompts": [f"{colour} {shape}" for colour in COLOURS]} for shape in SHAPES]
_FLOOR = 0.1
_LOG = Path("out/evaluate_suggestions.log")

Frame = Mapping[str, LabelOnFrame]


def main() -> None:
    """Print F1 over all labels at the threshold of the start and at those that a pilot's frames suggest."""
    frames = _frames()
    draw = np.random.default_rng(SEED)
    print(
        f"{PICTURES} pictures, {len(LABELS)} labels; {DRAWS} pilots each, F1 on the pictures that were not in the pilot"
    )
    print("start  pilot  F1 at the start  at the suggested  least gain  most gain")
    for start in STARTS:
        for pilot in PILOTS:
            pairs = np.array([_pair(frames, draw.permutation(PICTURES), pilot, start) for _ in range(DRAWS)])
            gains = pairs[:, 1] - pairs[:, 0]
            mean = f"{pairs[:, 0].mean():15.3f} {pairs[:, 1].mean():17.3f}"
            print(f"{start:5} {pilot:6} {mean} {gains.min():11.3f} {gains.max():10.3f}", flush=True)


def _frames() -> list[Frame]:
    """Every picture's candidates, each right or wrong."""
    _LOG.parent.mkdir(exist_ok=True)
    env = {"PROMPTABLE_PRECISION": "fp32"}  # so that the figures are the same on every machine
    labels = Path("toy/labels.yaml")
    options = Options(dashboard_port=0, port_base=0, models=Path("toy"), labels=labels, log=_LOG, env=env)
    with serve(Path("functions"), ["grounding-dino"], options) as running:
        running.require_ready()
        function = DirectFunction(running.url("grounding-dino"))
        return [_judged(one, _found(function, one)) for one in scenes(SEED, PICTURES)]


def _found(function: DirectFunction, one: Scene) -> list[Detection]:
    answer = function.call(Picture("a scene", partial(png, one.image)), {"floor": _FLOOR, "labels": LABELS})
    return read_candidates(answer, dict.fromkeys(SHAPES, _FLOOR), (SIZE, SIZE), polygons=False)


def _judged(one: Scene, found: Sequence[Detection]) -> Frame:
    """As ``effort`` judges a frame on which people have left the truth."""
    truth = [(shown.label.split()[1], Position(RECTANGLE, tuple(shown.xyxy.tolist()))) for shown in one.objects]
    frame = JudgedFrame(1, 1, 1, (), 1, [Found(i, 1, detection) for i, detection in enumerate(found)], truth)
    evidence = _evidence([], _FLOOR)
    evidence.add(frame)
    return evidence.frames[0]


def _evidence(frames: Sequence[Frame], threshold: float) -> Evidence:
    labels = [{"name": shape, "type": RECTANGLE, "threshold": threshold} for shape in SHAPES]
    run = Run(1, "annotate", "finished", {}, {"labels": labels, "rules": {"limit": 300}}, "", None)
    evidence = Evidence(run, list(frames))
    evidence.reviewed.update({shape: sum(frame[shape].objects for frame in frames) for shape in SHAPES})
    return evidence


def _pair(frames: Sequence[Frame], order: NDArray[np.int64], pilot: int, start: float) -> tuple[float, float]:
    """F1 on what is not in the pilot, before and after."""
    evidence = _evidence([frames[i] for i in order[:pilot]], start)
    chosen = {shape: suggested(evidence, shape, Goal()).threshold for shape in SHAPES}
    rest = [frames[i] for i in order[pilot:]]
    return _f1(rest, dict.fromkeys(SHAPES, start)), _f1(rest, chosen)


def _f1(frames: Sequence[Frame], thresholds: Mapping[str, float]) -> float:
    right = wrong = objects = 0.0
    for shape, threshold in thresholds.items():
        counts = counts_of([frame[shape] for frame in frames], np.array([threshold]))
        right, wrong = right + counts.right.sum(), wrong + counts.wrong.sum()
        objects += counts.objects.sum()
    return 2 * right / (right + wrong + objects)


if __name__ == "__main__":
    main()
