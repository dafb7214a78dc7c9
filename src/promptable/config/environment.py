"""Settings from environment variables: read once, and checked where people have written them."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from pydantic import ValidationError

from promptable.config.nuclio import FunctionType
from promptable.config.settings import SETTINGS, RedisSettings, Settings
from promptable.config.validation import problems

_SECRET = re.compile(r"(PASSWORD|TOKEN|SECRET)$")
_PREFIXES = ("PROMPTABLE_", "CVAT_FUNCTIONS_REDIS_")
OUTSIDE_IMAGES: Mapping[str, str] = {"PROMPTABLE_WEIGHTS": "weights"}
"""For functions that run where ``promptable download`` put their checkpoints: the default is a folder of an image."""
S = TypeVar("S", bound=Settings)


class SettingsError(ValueError):
    """A variable's value is not accepted: the message names the variable, the accepted values and the value."""


def read(settings: type[S], environ: Mapping[str, str] = os.environ) -> S:
    """Settings from the environment; an unset or empty variable means its default. Raises SettingsError."""
    given = {name: environ[name] for name in variables(settings) if environ.get(name)}
    try:
        return settings.model_validate(given)
    except ValidationError as error:
        wrong = [f"{problem.place[0]}: expected {problem.expected}, got {problem.got!r}" for problem in problems(error)]
        raise SettingsError("; ".join(wrong)) from None


def check(environment: Mapping[str, str], *functions: FunctionType) -> None:
    """Check variables that people have written for functions of these types. Raises SettingsError.

    One that looks like ours and is none is refused, and so is a password: what is written is read by others, in
    Nuclio's dashboard or in the list of processes. Files are not opened: they lie where the function runs.
    """
    all_settings: list[type[Settings]] = [*(SETTINGS[function] for function in functions), RedisSettings]
    known = {variable for settings in all_settings for variable in variables(settings)}
    _refuse_secrets(environment)
    _refuse_unknown(environment, known, functions)
    for settings in all_settings:
        read(settings, {name: value for name, value in environment.items() if not name.endswith("_FILE")})


def variables(settings: type[Settings]) -> list[str]:
    """The environment variables of these settings."""
    return [str(field.alias) for field in settings.model_fields.values()]


def _refuse_secrets(names: Iterable[str]) -> None:
    for name in names:
        if _SECRET.search(name):
            raise SettingsError(
                f"{name}: its value could be read by others (in Nuclio's dashboard, in the list of processes): put it"
                f" into a file and name that as {name}_FILE, or let Kubernetes look it up (valueFrom)"
            )


def _refuse_unknown(names: Iterable[str], known: Collection[str], functions: Iterable[FunctionType]) -> None:
    for name in sorted(set(names).difference(known)):
        if name.startswith(_PREFIXES):
            near = "".join(f"perhaps {one}? " for one in get_close_matches(name, known, 1))
            raise SettingsError(
                f"{name} is no setting of a {' or '.join(functions)}: {near}docs/settings.md lists them"
            )
