"""Which jobs a run reads and writes: annotation jobs that were not handed in, unless options say otherwise."""

from typing import Any

from promptable.cvat.propagate.options import Options
from promptable.cvat.server.frames import text_of
from promptable.cvat.server.jobs import OPEN


def why_left_alone(job: Any, options: Options) -> str | None:
    """Why a run neither reads nor writes a job (cvat-sdk's), in a sentence; None if it does."""
    state, kind = text_of(job.state), text_of(job.type)
    if kind != "annotation" and options.job is None:
        return f"job {job.id} is a {kind.replace('_', ' ')} job"
    if state not in OPEN and options.include is None:
        return f"job {job.id} is {state}: --include completed takes it too"
    return None
