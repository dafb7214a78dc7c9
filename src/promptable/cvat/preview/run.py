"""From pictures and variants to the page."""

import itertools
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from rich.console import Console

from promptable.cvat.annotate.picture_files import pictures_of, read_picture
from promptable.cvat.functions import Picture
from promptable.cvat.labels.entries import own_keys
from promptable.cvat.plural import counted
from promptable.cvat.preview.page import PageFrame, PageVariant, broken, render
from promptable.cvat.preview.variants import Variant
from promptable.cvat.progress import Progress
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames

_AT_ONCE = 3


def spread(numbers: Sequence[int], count: int, seed: int) -> list[int]:
    """``count`` of the numbers, spread over them: one at random from each of as many equal parts."""
    count = min(count, len(numbers))
    if not count:
        return []
    edges = [len(numbers) * part // count for part in range(count + 1)]
    chosen = random.Random(seed)
    return [numbers[chosen.randrange(first, end)] for first, end in itertools.pairwise(edges)]


def frames_of_cvat(frames: Frames, wanted: Sequence[int]) -> list[PageFrame]:
    """These frames with their bytes. Raises CvatError for one that is not there, and for none."""
    if not wanted:
        raise CvatError(f"task {frames.task.id} has no frame that is not deleted")
    described = {number: frames.frame(number) for number in wanted}
    data = dict(frames.read(wanted))
    return [
        PageFrame(described[n].name, n, partial(data.__getitem__, n), described[n].hw, frames.link(n)) for n in wanted
    ]


def frames_of_folder(folder: Path, count: int, seed: int) -> list[PageFrame]:
    """Pictures of a folder and of those in it. Raises CvatError where there are none."""
    files = pictures_of(folder)
    chosen = [files[i] for i in spread(range(len(files)), count, seed)]
    return [PageFrame(str(file.relative_to(folder)), None, partial(read_picture, file)) for file in chosen]


def readable(frames: Sequence[PageFrame]) -> tuple[list[PageFrame], list[str]]:
    """Those whose pictures can be shown, and why others cannot. Raises CvatError where none can."""
    why = [broken(frame) for frame in frames]
    failed = [sentence for sentence in why if sentence is not None]
    if len(failed) == len(frames):
        raise CvatError(failed[0])
    return [frame for frame, sentence in zip(frames, why, strict=True) if sentence is None], failed


def preview(title: str, frames: Sequence[PageFrame], variants: Sequence[Variant], chosen: str) -> tuple[str, str]:
    """The page and its JSON; ``chosen`` says how the frames were. Raises CvatError where no frame could be answered."""
    with Progress() as progress, ThreadPoolExecutor(_AT_ONCE) as pool:
        bar = progress.begin("asking", len(frames) * len(variants), unit="answers")
        given: list[dict[str, Any]] = []
        for answer in pool.map(_ask, [one for one in variants for _ in frames], [*frames] * len(variants)):
            given.append(answer)
            failed = sum("error" in one for one in given)
            bar.advance(**({"failed": failed} if failed else {}))
    answers = [given[first : first + len(frames)] for first in range(0, len(given), len(frames))]
    silent = {one.name: row[0]["error"] for one, row in zip(variants, answers, strict=True) if _failed(row)}
    if len(silent) == len(variants):
        raise CvatError(silent[variants[0].name])
    for name, error in silent.items():
        Console(stderr=True).print(
            f"variant {name!r} has no answer: {error}", markup=False, highlight=False, soft_wrap=True
        )
    columns = [_column(variant, row) for variant, row in zip(variants, answers, strict=True)]
    return render(title, f"{counted(len(frames), 'frame')}{chosen}", frames, columns)


def _failed(answers: Sequence[Mapping[str, Any]]) -> bool:
    return all("error" in answer for answer in answers)


def _ask(variant: Variant, frame: PageFrame) -> dict[str, Any]:
    picture = Picture(frame.name, frame.data, frame.number)
    try:
        return dict(variant.ask(picture))
    except CvatError as error:
        return {"error": str(error)}


def _column(variant: Variant, answers: Sequence[dict[str, Any]]) -> PageVariant:
    """How a variant stands on the page: what its labels are, and where their sliders begin."""
    candidates = [answer for answer in answers if "proposals" in answer]
    exact = bool(candidates)
    if exact:
        described = {label["name"]: label for label in candidates[0]["labels"]}
        given = [own_keys(entry) for entry in variant.labels or described.values()]
        labels = [_with_threshold(entry, described[entry["name"]]) for entry in given]
        note = f"{variant.function}; what a slider shows is what a run at that threshold answers"
    else:
        names = sorted({str(item["label"]) for answer in answers for item in answer.get("items", ())})
        threshold = 0.0 if variant.threshold is None else variant.threshold
        labels = [{"name": name, "type": "any", "threshold": threshold} for name in names]
        why = "no frame was answered" if _failed(answers) else "CVAT passes no labels on: the answer at one threshold"
        note = f"{variant.function}; {why}"
    floor = max([answer["floor"] for answer in candidates], default=0.0)
    return PageVariant(variant.name, note, exact, ceil(100 * floor - 1e-6) / 100, labels, answers)


def _with_threshold(entry: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {key: value for key, value in entry.items() if key in ("name", "type", "prompts", "attributes", "marks")}
    return kept | {"threshold": described["threshold"]} | {k: described[k] for k in ("marks",) if described.get(k)}
