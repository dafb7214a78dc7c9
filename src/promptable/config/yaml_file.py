"""YAML files that people write by hand, read strictly."""

from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

_MOST_VALUES = 100_000
"""The most values of a file, aliases written out: a few hundred bytes of aliases to aliases can stand for billions."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that comes twice in a mapping, of which YAML readers otherwise keep the last in silence, and too
    many values."""

    def construct_document(self, node: yaml.Node) -> Any:
        if _written_out(node, {}) > _MOST_VALUES:
            problem = f"over {_MOST_VALUES} values, with aliases written out"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if repeated := [key for key, count in Counter(keys).items() if count > 1]:
            problem = f"the key {repeated[0]!r} comes twice in one mapping"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _written_out(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """How many values a node is with its aliases written out; over ``_MOST_VALUES`` for one that contains itself."""
    if node not in known:
        known[node] = _MOST_VALUES + 1
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        inner = [part for pair in parts for part in pair] if isinstance(node, yaml.MappingNode) else parts
        known[node] = 1 + sum(_written_out(part, known) for part in inner)
    return known[node]


def read_yaml(path: Path) -> Any:
    """What the file holds. Raises ValueError for one that is not UTF-8 or not YAML, OSError."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from None
    except RecursionError:
        raise ValueError("not YAML as people write it: nested too deep") from None
