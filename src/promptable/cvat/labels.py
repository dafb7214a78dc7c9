"""The labels of a CVAT task or project, as entries of a ``labels.yaml``."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from promptable.config.labels import LabelType, Mark

if TYPE_CHECKING:
    from cvat_sdk import Client
    from cvat_sdk.core.client import Credentials

_ANY = "any"  # CVAT's word for a label that takes every shape
_MARKS = {"needs-review": Mark.REVIEW, "failed": Mark.FAILURE}
"""Tags of these names mark frames: no model is asked for them."""


class CvatError(RuntimeError):
    """CVAT cannot be asked, or has no such labels: the message says what to do."""


@dataclass(frozen=True)
class CvatLabels:
    """Entries for ``config.labels.render``, and the names of labels whose shape the detector cannot answer."""

    entries: tuple[str | Mapping[str, str], ...]
    left_out: tuple[str, ...]

    def to_yaml(self) -> str:
        """The text of a ``labels.yaml``."""
        return yaml.safe_dump(list(self.entries), sort_keys=False, allow_unicode=True)


def fetch(url: str, task: int | None = None, project: int | None = None) -> CvatLabels:
    """Labels of this task, or else of this project, of the CVAT at ``url``. Raises CvatError.

    Logs in with CVAT_ACCESS_TOKEN, or with CVAT_USERNAME and CVAT_PASSWORD, from the environment.
    """
    try:
        from cvat_sdk import Client, exceptions
        from cvat_sdk.core.exceptions import CvatSdkException
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise CvatError("cvat-sdk is not installed: pip install 'promptable[cvat]'") from None
    try:
        with Client(url, check_server_version=False) as client:
            client.login(_credentials())
            return labels_of(_ask(client, task, project))
    except exceptions.ApiException as error:
        raise CvatError(f"{url} answered {error.status} {error.reason}") from None
    except (CvatSdkException, HTTPError) as error:
        raise CvatError(f"{url} cannot be reached: {error}") from None


def labels_of(labels: Iterable[Mapping[str, Any]]) -> CvatLabels:
    """CVAT's labels (``name``, ``type``) as entries. Raises CvatError if the detector can answer none of them."""
    pairs = [(label["name"], label["type"]) for label in labels]
    answered = [(name, shape) for name, shape in pairs if shape in (_ANY, *LabelType)]
    if not answered:
        raise CvatError(f"no label is of type {', '.join((_ANY, *LabelType))}")
    return CvatLabels(
        entries=tuple(_entry(name, shape) for name, shape in answered),
        left_out=tuple(name for name, shape in pairs if (name, shape) not in answered),
    )


def _entry(name: str, shape: str) -> str | Mapping[str, str]:
    if name in _MARKS and shape in (_ANY, LabelType.TAG):
        return {"name": name, "type": str(LabelType.TAG), "marks": str(_MARKS[name])}
    return name if shape == _ANY else {"name": name, "type": shape}


def _credentials() -> "Credentials":
    from cvat_sdk.core.client import AccessTokenCredentials, PasswordCredentials

    token, user, password = (os.environ.get(name) for name in ("CVAT_ACCESS_TOKEN", "CVAT_USERNAME", "CVAT_PASSWORD"))
    if token:
        return AccessTokenCredentials(token)
    if user and password:
        return PasswordCredentials(user, password)
    raise CvatError("set CVAT_ACCESS_TOKEN, or CVAT_USERNAME and CVAT_PASSWORD, in the environment")


def _ask(client: "Client", task: int | None, project: int | None) -> list[Mapping[str, Any]]:
    """The labels as plain JSON, which differs less between CVAT's versions than cvat-sdk's models of it."""
    from cvat_sdk.core.helpers import get_paginated_collection

    source = {"project_id": project} if task is None else {"task_id": task}
    labels: list[Mapping[str, Any]] = get_paginated_collection(
        client.api_client.labels_api.list_endpoint, return_json=True, _parse_response=False, **source
    )
    return labels
