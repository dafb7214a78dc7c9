"""Serve the functions, send them what CVAT would send, and write pictures, a page and figures to out/demo/.

Without settings: generated scenes and the toy checkpoints. With ``PROMPTABLE_IMAGE=photo.jpg`` and
``PROMPTABLE_LABELS="car, wheel"``: that picture, and the official checkpoints in the folder ``PROMPTABLE_WEIGHTS``.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from demo import annotate, effort, generated, own_picture, page, preview, propagate
from demo.client import Client
from promptable.config.function_yaml import FunctionConfigError
from promptable.config.labels import LabelError
from promptable.local.options import Options
from promptable.local.server import ServeError, serve

_FOLDER = Path("out/demo")
_LABELS = _FOLDER / "labels.yaml"
_TOY = Path("toy")
_LINKS = {
    "Try words, move thresholds": "preview.html",
    "What to look at first of a task that was annotated": "review.html",
    "What to look at of a video in which words became tracks": "propagate.html",
    "A pilot that a person of a script has corrected, and what it was worth": "effort.html",
    "The thresholds of the pilot beside those that it suggests, on other frames": "effort-preview.html",
}
_FUNCTIONS = ("grounding-dino", "sam-interactor", "sam2-tracker")


def main() -> None:
    """Run the demo and say where to look; what the user can mend is a line, not a traceback."""
    try:
        _run()
    except (FunctionConfigError, LabelError, ServeError) as error:
        sys.exit(f"The demo stopped: {error}")


def _run() -> None:
    started = perf_counter()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    picture = os.environ.get("PROMPTABLE_IMAGE", "")
    if picture and not Path(picture).is_file():
        sys.exit(f"PROMPTABLE_IMAGE: there is no file {picture}")
    log = _FOLDER / "functions.log"
    print(f"Starting the functions (their log: {log}) ...", flush=True)
    models, labels = (None, _own_labels()) if picture else (_TOY, _TOY / "labels.yaml")
    env = {} if picture else {"PROMPTABLE_PRECISION": "fp32"}  # so that the page is the same on every machine
    options = Options(dashboard_port=0, port_base=0, models=models, labels=labels, log=log, env=env)
    with serve(Path("functions"), _FUNCTIONS, options) as running:
        running.require_ready()
        client = Client({name: running.url(name) for name in _FUNCTIONS})
        if picture:
            page.write(_FOLDER / "index.html", f"On {picture}.", own_picture.run(client, Path(picture), _FOLDER))
        else:
            preview.write(_FOLDER, running.url("grounding-dino"))
            annotated = annotate.annotate(_FOLDER, running.url("grounding-dino"))
            followed = propagate.propagate(client, _FOLDER)
            pilot = effort.write(_FOLDER, running.url("grounding-dino"))
            _measure(client, (annotated, followed), pilot, started)
    print(f"Look at {_FOLDER / 'index.html'}")


def _own_labels() -> Path:
    """PROMPTABLE_LABELS as a labels.yaml of masks."""
    names = [name.strip() for name in os.environ.get("PROMPTABLE_LABELS", "object").split(",") if name.strip()]
    _LABELS.write_text(yaml.safe_dump([{"name": name, "type": "mask"} for name in names]), encoding="utf-8")
    return _LABELS


def _measure(client: Client, tasks: Sequence[page.Section], pilot: Mapping[str, float], started: float) -> None:
    outcome = generated.run(client, _FOLDER)
    outcome.summary["effort"] = dict(pilot)
    outcome.summary["propagate"] = dict(tasks[-1].figures)
    outcome.summary["seconds"]["total"] = round(perf_counter() - started, 1)
    lead = "Generated scenes, small checkpoints of the real model classes, over HTTP with the JSON that CVAT sends."
    page.write(_FOLDER / "index.html", lead, [*outcome.sections, *tasks], links=_LINKS)
    text = json.dumps(_rounded(outcome.summary), indent=2)
    (_FOLDER / "summary.json").write_text(text + "\n")
    print(text)


def _rounded(summary: Mapping[str, Any]) -> Any:
    """With four digits after the point: more are noise."""
    return json.loads(json.dumps(summary), parse_float=lambda number: round(float(number), 4))


if __name__ == "__main__":
    main()
