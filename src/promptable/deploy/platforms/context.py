"""kubectl's context, read once: somebody may change it while a run builds its images."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptable.deploy.commands import ask

_VARIABLE = "KUBECONFIG"


@contextmanager
def pinned(folder: Path) -> Iterator[None]:
    """Inside, kubectl and nuctl use the context that is kubectl's now, from a copy in ``folder``.

    nuctl takes no context from its command line. In a pod of the cluster there may be none, and so none to change.
    """
    said = ask("kubectl", "config", "view", "--minify", "--flatten", "--raw")
    if not (said.ok and said.out):
        yield
        return
    file = folder / "kubeconfig"
    file.touch(mode=0o600)  # it holds the credentials
    file.write_text(said.out, encoding="utf-8")
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(file)
    try:
        yield
    finally:
        _set(before)


def _set(value: str | None) -> None:
    if value is None:
        del os.environ[_VARIABLE]
    else:
        os.environ[_VARIABLE] = value
