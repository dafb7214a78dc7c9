"""Addresses of CVAT's pages, for links."""


def job_link(host: str, task: int, job: int, frame: int | None = None) -> str:
    """Where CVAT's editor opens a job: at a frame, by the task's number, or where it was left.

    ``host`` as in ``http://localhost:8080``.
    """
    job_page = f"{host}/tasks/{task}/jobs/{job}"
    return job_page if frame is None else f"{job_page}?frame={frame}"
