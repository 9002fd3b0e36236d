"""Read YAML within limits: aliases can make a small file stand for billions of values."""

from __future__ import annotations

from typing import Any

import yaml

MAX_BYTES = 1 << 20
"""Greatest size of a configuration file."""
MAX_VALUES = 100_000
"""Most values of a file, each alias replaced by what it stands for."""
MAX_DEPTH = 100
"""Most mappings and lists around a value; a mapping that contains itself exceeds it."""


class YamlLimitExceeded(yaml.YAMLError):
    """A text exceeds a limit; the message names it."""


def read_yaml(text: str) -> Any:
    """Return the values of one YAML document; None for an empty text.

    >>> read_yaml("a: [1, 2]")
    {'a': [1, 2]}

    Raises:
        yaml.YAMLError: it is no YAML, or exceeds a limit.
    """
    if len(text) > MAX_BYTES:
        raise YamlLimitExceeded(f"longer than {MAX_BYTES >> 20} MiB")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node)
        return loader.construct_document(node)
    except RecursionError:
        raise YamlLimitExceeded(f"more than {MAX_DEPTH} mappings and lists within each other") from None
    finally:
        loader.dispose()


def _check(root: Any) -> None:
    """Count the values before they are built: a merge key copies what its alias stands for."""
    waiting, values = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        values += 1
        if values > MAX_VALUES:
            raise YamlLimitExceeded(
                f"more than {MAX_VALUES:,} values, where each alias (*name) counts as what it stands for"
            )
        if depth > MAX_DEPTH:
            raise YamlLimitExceeded(
                f"more than {MAX_DEPTH} mappings and lists within each other, or an alias (*name) inside of its anchor"
            )
        if isinstance(node, yaml.MappingNode):
            waiting.extend((part, depth + 1) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend((part, depth + 1) for part in node.value)
