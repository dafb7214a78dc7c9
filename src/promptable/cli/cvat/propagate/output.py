"""What people are told: the plan, what was written, what to look at."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.files import write_text
from promptable.cli.terminal import DONE, left_alone, say, show
from promptable.cvat.plural import counted
from promptable.cvat.propagate.options import Options
from promptable.cvat.server.editor import job_link

if TYPE_CHECKING:
    from promptable.cvat.journal import Run
    from promptable.cvat.propagate.journal import TrackJournal, TrackReader
    from promptable.cvat.propagate.plan import Plan
    from promptable.cvat.propagate.review.places import Review
    from promptable.cvat.server.frames import Frames

_MOST_OBJECTS = 20
"""In a table; the page has more."""


def say_plan(plan: "Plan", frames: "Frames", options: Options, will: str) -> None:
    """What is followed, as ``will`` says, and what is left alone."""
    for sentence in plan.left_out:
        left_alone(sentence)
    if frames.deleted:
        left_alone(f"{counted(len(frames.deleted), 'deleted frame')}")
    forms = [one.form for one in plan.objects]
    by_form = ", ".join(counted(forms.count(form), form) for form in dict.fromkeys(forms)) or "none yet"
    say(f"{counted(len(forms), 'object')} ({by_form}) {will} through {counted(plan.frames, 'frame')}")
    if plan.met and not options.restart_at_keyframes:
        where = f"where people have them further on, the first on frame {plan.met[0]}"
        say(f"{len(plan.met)} of {len(plan.objects)} will end {where}: --restart-at-keyframes goes on from there")
    if options.every is not None:
        looked = f"new ones are looked for on the first frame and then on one in {options.every}"
        say(f"{looked}, and followed back to where they came in")


def review(parsed: argparse.Namespace, client: Any, frames: "Frames", journal: "TrackJournal", run: "Run") -> int:
    """What is worth a person's look: as a table, as a page, and as issues if wanted."""
    from promptable.cvat.propagate.review.page import pictured, render
    from promptable.cvat.propagate.review.pictures import pictures
    from promptable.cvat.propagate.review.places import review as reviewed

    found, task = reviewed(client, journal, run, frames), frames.task
    _show_table(found)
    page = _page(parsed, task.id, run.id)
    shown = pictures(journal, run, frames, pictured(found))
    opens = partial(job_link, client.api_map.host, task.id)
    write_text(page, render(f"Followed in task {task.id}, {task.name}", run.id, found, shown, opens))
    say(f"{counted(len(found.places), 'place')} to look at: {page}")
    if parsed.issues and run.state != "undone":
        _open_issues(client, journal, run, found)
    return DONE


def _open_issues(client: Any, journal: "TrackJournal", run: "Run", found: "Review") -> None:
    """One a place."""
    from promptable.cvat.journal.opened_issues import open_issues
    from promptable.cvat.server.issues import Issue, not_there

    wanted = [Issue(one.job, one.frame, one.box, f"{one.label} {one.number + 1}: {one.what}") for one in found.places]
    new = not_there(client, wanted)
    open_issues(client, journal, run.id, new)
    say(f"{counted(len(new), 'issue')} opened")


def _page(parsed: argparse.Namespace, task: int, run: int) -> Path:
    """Where a run's page goes: the runs from tagged frames have one each."""
    page: Path | None = parsed.page
    if page is None:
        return Path(f"propagate-task-{task}-run-{run}.html")
    return page if parsed.tagged is None else page.with_stem(f"{page.stem}-run-{run}")


def _show_table(found: "Review") -> None:
    rows = [
        (f"{one.label} {one.number + 1}", one.frames, one.found, f"{one.weakest:.2f}", count)
        for one, count in found.by_doubts()[:_MOST_OBJECTS]
    ]
    show(("object", "frames", "found", "least sure", "to look at"), rows)


def report(journal: "TrackReader", run: int) -> None:
    """What is in CVAT now; what two jobs show counts once."""
    from promptable.cvat.propagate.content import TRACK

    keyframes, masks = set[tuple[int, int]](), set[tuple[int, int]]()
    for write in journal.writes(run):
        for item in write.items if write.action != "delete" and write.state == "stored" else ():
            if item["kind"] != TRACK:
                masks.add((item["object"], item["new"]["frame"]))
            elif item["own"]:  # else it only ends where another took over
                keyframes.update((item["object"], key["frame"]) for key in item["new"]["shapes"])
    written = []
    if keyframes:
        tracks = {number for number, _ in keyframes}
        written.append(f"{counted(len(tracks), 'track')} of {counted(len(keyframes), 'keyframe')}")
    if masks:
        written.append(counted(len(masks), "mask"))
    say(f"run {run}: {', '.join(written) or 'nothing written'}")
