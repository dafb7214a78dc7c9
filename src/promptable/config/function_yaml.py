"""The reader and writer of function.yaml, and of what Nuclio makes of it: processor.yaml, ``nuctl get function``.

    config = load(Path("functions/grounding-dino/function.yaml"))
    config = config.with_spec(image="promptable:1", build=None).with_env(PROMPTABLE_DEVICE="cuda")
    text = dump(config)

Only PyYAML and pydantic: it also runs on the machine of an admin, who has no PyTorch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from promptable.config import environment
from promptable.config.nuclio import FunctionConfig
from promptable.config.validation import problems
from promptable.config.yaml_file import read_yaml


class FunctionConfigError(ValueError):
    """A function's configuration is wrong: the message names the file, the key, what was expected and what came."""


def load(path: Path) -> FunctionConfig:
    """Read a function.yaml as people write it: keys that Nuclio does not know are refused, as are variables that the
    function does not know or accept, and passwords.

    Raises FunctionConfigError.
    """
    config = _checked(_document(path), str(path), deployed=False)
    try:
        environment.check(config.env, config.type)
    except environment.SettingsError as error:
        raise FunctionConfigError(f"{path}: spec.env: {error}") from None
    return config


def load_deployed(path: Path) -> FunctionConfig:
    """Read a processor.yaml. What Nuclio has added to it is kept. Raises FunctionConfigError."""
    return parse_deployed(_document(path), str(path))


def parse_deployed(document: object, source: str) -> FunctionConfig:
    """A deployed function's configuration from its parsed YAML or JSON; ``source`` names it in errors.

    What Nuclio has added is kept, also beside ``metadata`` and ``spec`` (``status``: see ``model_extra``).
    Raises FunctionConfigError.
    """
    return _checked(document, source, deployed=True)


def dump(config: FunctionConfig) -> str:
    """The text of a function.yaml that holds what was read or given, and no defaults."""
    return yaml.dump(to_document(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def to_document(config: FunctionConfig) -> dict[str, Any]:
    """The same as plain mappings, lists and texts, by Nuclio's keys."""
    return config.model_dump(mode="json", by_alias=True, exclude_unset=True)


def find(functions_dir: Path, names: Sequence[str] = ()) -> Mapping[Path, FunctionConfig]:
    """Read the functions in these folders of ``functions_dir``, or in all that hold a function.yaml, by their folders.

    Raises FunctionConfigError.
    """
    folders = [functions_dir / name for name in names] or sorted(
        path.parent for path in functions_dir.glob("*/function.yaml")
    )
    if not folders:
        raise FunctionConfigError(
            f"{functions_dir} holds no folder with a function.yaml: name another with --functions"
        )
    configs = {folder.resolve(): load(folder / "function.yaml") for folder in folders}
    function_names = [config.name for config in configs.values()]
    if repeated := sorted({name for name in function_names if function_names.count(name) > 1}):
        raise FunctionConfigError(f"two functions of {functions_dir} have the name {repeated[0]!r}: rename one")
    return configs


def _document(path: Path) -> Any:
    try:
        return read_yaml(path)
    except OSError as error:
        raise FunctionConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise FunctionConfigError(f"{path} is {error}") from None


def _checked(document: object, source: str, *, deployed: bool) -> FunctionConfig:
    if not isinstance(document, dict):
        raise FunctionConfigError(f"{source} must be a mapping, got {document!r}")
    try:
        return FunctionConfig.model_validate(document, extra="allow" if deployed else "forbid")
    except ValidationError as error:
        sentences = "; ".join(problem.sentence() for problem in problems(error))
        raise FunctionConfigError(f"{source}: {sentences}") from None


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
