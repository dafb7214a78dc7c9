"""docs/models.md, written from the catalogue: ``python -m promptable.config.models_page > docs/models.md``."""

import sys

from promptable.models.catalogue import OFFICIAL, Checkpoint, Task, names

_HEAD = """# Models

<!-- Written by `make docs` from src/promptable/models/catalogue.py. -->

`promptable models` prints these tables with what lies on your disk, `promptable download NAME` fetches a model, and
`PROMPTABLE_MODEL=NAME` or `deploy.sh --model NAME` runs it. Memory is what loading takes: twice the file.

## Which one

- **Rare or unusual things** (tools, species, defects): `llmdet-large`, or `llmdet-base` on a smaller card. On LVIS,
  whose 1203 kinds of things are mostly rare, LLMDet of any size finds far more than Grounding DINO.
- **Everyday things, quickly**: `llmdet-tiny`. It is `swin-t` with other training and other heads: as large and as fast.
- **A CPU**: `llmdet-tiny` or `swin-t`. The `-large` ones have a finer feature level. It gives them four times as many
  places to look at, and they take several times as long.
- **Labels and thresholds that are tuned already**: stay with the model that they are tuned on, since another one scores
  differently. To compare: `promptable preview --task 7 --local --variant NAME=labels.yaml@llmdet-large`.
- **Masks from boxes, and clicks**: `sam2.1-large` on a GPU, `sam2.1-tiny` on a CPU; `vit_b` if the numbers have to
  be those of the first SAM.
- **Tracking**: `sam2.1-large`; a smaller one if functions share a card.

MM-Grounding-DINO is what LLMDet was trained on from; take it to compare, or to train further.
"""

_SECTIONS = {
    Task.DETECTION: "Detectors: words to boxes",
    Task.SEGMENTATION: "Segmenters: clicks and boxes to masks",
    Task.TRACKING: "Trackers",
}

_THRESHOLDS = """## Thresholds

If neither request, label nor `PROMPTABLE_THRESHOLD` gives a threshold, a detector's threshold is that of the published
examples: {thresholds}.

Those examples compare the strongest token of a prompt. Here it is the mean over its tokens
([detector.md](detector.md#why-the-mean)), so for prompts of several words the same number is a little stricter.
"""

_CHECKSUMS = """## Checksums

Every file is compared with its published SHA-256 when it is fetched and whenever it is loaded. We know of no public
record that gives the SHA-256 of {unknown}.

The first download of these is compared with what the host says of the file, if it says anything. Its SHA-256 is shown,
recorded beside it as `NAME.safetensors.sha256`, and checked from then on. Weights in this format cannot run code. To be
sure of them on another machine, copy the record with the file.

All models are under the {licence} licence.
"""


def page() -> str:
    """The text of docs/models.md."""
    sections = [_section(task, title) for task, title in _SECTIONS.items()]
    return "\n".join((_HEAD, *sections, _thresholds(), _checksums()))


def size(checkpoint: Checkpoint) -> str:
    """The download in megabytes; what its parameters take, where nobody says more."""
    million_bytes = checkpoint.size / 1e6 if checkpoint.size else 4 * (checkpoint.millions or 0)
    return f"{million_bytes:.0f} MB"


def _section(task: Task, title: str) -> str:
    rows = [_row(name, OFFICIAL[name], task) for name in names(task)]
    own = " Threshold |" if task is Task.DETECTION else ""
    head = f"| Name | Family | Parameters | Download | Memory |{own} Published |"
    return "\n".join((f"## {title}", "", head, "| --- " * (head.count("|") - 1) + "|", *rows, ""))


def _row(name: str, row: Checkpoint, task: Task) -> str:
    threshold = [f"{row.family.threshold:g}"] if task is Task.DETECTION else []
    figure = f"[{row.figure.words}]({row.figure.source})" if row.figure else ""
    cells = [f"`{name}`", row.family.title, f"{row.millions} M", size(row), f"{row.memory_gib} GiB", *threshold, figure]
    return f"| {' | '.join(cells)} |"


def _thresholds() -> str:
    families = [OFFICIAL[name].family for name in names(Task.DETECTION)]
    said = [f"[{family.threshold:g} for {family.title}]({family.threshold_source})" for family in families]
    return _THRESHOLDS.format(thresholds=", ".join(dict.fromkeys(said)))


def _checksums() -> str:
    unknown = ", ".join(f"`{name}`" for name, row in OFFICIAL.items() if row.sha256 is None)
    (licence,) = {row.family.licence for row in OFFICIAL.values()}
    return _CHECKSUMS.format(unknown=unknown, licence=licence)


if __name__ == "__main__":
    sys.stdout.write(page())
