"""Which frames a command that looks through a task is about: ``--task``, ``--project`` or ``--job``."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from promptable.cli.values import count

if TYPE_CHECKING:
    from promptable.cvat.server.frames import Frames


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Exactly one of these is given."""
    add = parser.add_argument_group("frames", "exactly one of").add_mutually_exclusive_group(required=True).add_argument
    add("--task", type=count, metavar="N", help="those of a task")
    add("--project", type=count, metavar="N", help="those of all tasks of a project, together")
    add("--job", type=count, metavar="N", help="those of a job")


def source_name(parsed: argparse.Namespace) -> tuple[str, int]:
    """Such as task and 12."""
    what = next(name for name in ("task", "project", "job") if getattr(parsed, name) is not None)
    return what, int(getattr(parsed, what))


def named(parsed: argparse.Namespace, client: Any, tasks: Iterable[Any]) -> str:
    """Such as ``task 12, night drive``: by the name that people gave it. ``tasks`` are CVAT's, also of a job."""
    what, number = source_name(parsed)
    one = next(iter(tasks)) if parsed.project is None else client.projects.retrieve(number)
    return f"{what} {number}, {one.name}"


def sources(
    parsed: argparse.Namespace, client: Any, left_out: Callable[[str], object], **told: bool
) -> "Iterator[Frames]":
    """The frames of the task or job, or of each of the project's tasks; of those without any, or of none, is said why.

    ``told`` are those of ``Frames``.
    """
    from promptable.cvat.server.frames import Frames, without_frames

    if parsed.project is None:
        yield Frames(client, task=parsed.task, job=parsed.job, **told)
        return
    tasks = sorted(client.projects.retrieve(parsed.project).get_tasks(), key=lambda task: int(task.id))
    if not tasks:
        left_out(f"project {parsed.project} has no tasks")
    for task in tasks:
        if (lacking := without_frames(task)) is None:
            yield Frames(client, task=task.id, **told)
        else:
            left_out(lacking)
