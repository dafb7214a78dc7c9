"""Addresses of CVAT's pages, for links."""


def job_link(host: str, task: int, job: int, frame: int | None = None) -> str:
    """The address of a job in CVAT's editor; ``host`` is as in ``http://localhost:8080``.

    ``frame`` is the frame to show, by its number in the task; None is the frame that the user saw last.
    """
    job_page = f"{host}/tasks/{task}/jobs/{job}"
    return job_page if frame is None else f"{job_page}?frame={frame}"
