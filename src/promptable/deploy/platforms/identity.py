"""Which engine or cluster it is: what is remembered of one must never be put into another."""

import re

from promptable.deploy.commands import ask
from promptable.deploy.rendering.target import PlatformName


def identity(platform: PlatformName, namespace: str) -> str:
    """What no other engine has, or no other cluster's namespace; empty where nobody answers, as in a dry run.

    A file name: letters, digits, ``_``, ``.`` and ``-``.
    """
    if platform is PlatformName.LOCAL:
        said = ask("docker", "info", "--format", "{{.ID}}")
    else:
        said = ask("kubectl", "get", "namespace", namespace, "-o", "jsonpath={.metadata.uid}")
    return re.sub(r"[^\w.-]", "-", said.out) if said.ok else ""
