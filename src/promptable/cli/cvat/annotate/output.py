"""What people are told: the plan, what was found, what failed, what to look at."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.files import write_text
from promptable.cli.cvat.outcome import failures
from promptable.cli.terminal import left_alone, say, show
from promptable.cvat.plural import counted

if TYPE_CHECKING:
    from promptable.cvat.annotate.plan import Plan
    from promptable.cvat.journal import JournalReader, Run
    from promptable.cvat.review.found import LabelFound
    from promptable.cvat.server.frames import Frames


def say_plan(plan: "Plan", what: str) -> None:
    """What is asked about, and what is left alone."""
    for sentence in plan.left_out:
        left_alone(sentence)
    say(f"{counted(plan.frames, 'frame')} {what}")


def report(parsed: argparse.Namespace, client: Any, frames: "Frames", journal: "JournalReader", run: "Run") -> int:
    """What was found and what people should look at, as a table and as a page; what failed. Returns the exit status."""
    from promptable.cvat.detection import MASK
    from promptable.cvat.review.found import labels_found
    from promptable.cvat.review.page import render
    from promptable.cvat.review.run import run_queue
    from promptable.cvat.seams import told_elsewhere

    if left := journal.places(run.id, "left"):
        left_alone(f"{counted(len(left), 'frame')} annotated or closed by people while it ran")
    for of_job in journal.sent_elsewhere(run.id, MASK).items():
        left_alone(told_elsewhere(of_job))
    below, stored, task = parsed.review_below, counted(journal.uploaded(run.id), "object"), frames.task
    queue, labels = run_queue(journal, run, frames, below), labels_found(journal, {run.id: None}, below)
    _show_table(labels, below)
    say(f"run {run.id}: {stored} stored")
    if queue.frames or any(label.found for label in labels):  # else a page would show nothing
        page = _page(parsed, f"task-{task.id}-run-{run.id}")
        about = [f"Run {run.id}: {stored} stored; below {below:g} is to review."]
        html = render(f"Review of task {task.id}, {task.name}", about, queue, labels, below, client.api_map.host)
        write_text(page, html)
        say(page)
    return failures(journal.errors(run.id))


def _page(parsed: argparse.Namespace, of_run: str) -> Path:
    """Where the page of a run goes: of a project each task has its own."""
    queue: Path | None = parsed.queue
    if queue is None:
        return Path(f"review-{of_run}.html")
    return queue if parsed.project is None else queue.with_stem(f"{queue.stem}-{of_run}")


def _show_table(labels: "Sequence[LabelFound]", review_below: float) -> None:
    rows = [[label.name, *label.cells(review_below)] for label in labels if label.found]
    show(("label", "found", "to review", "median confidence"), rows)
    if unscored := [label.name for label in labels if label.unscored]:
        why = "CVAT passes it on where the label has a number attribute of that name"
        say(f"no confidence is known of {', '.join(unscored)}: {why}")
