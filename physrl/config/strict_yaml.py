"""YAML whose tables name each key once: PyYAML's safe loader lets the last of two keys win."""

from collections.abc import Hashable
from typing import Any

import yaml

MOST_LEVELS = 100
"""Deepest nesting; Python's stack ends at some two hundred levels of PyYAML's calls."""
MOST_VALUES = 100_000
"""Largest number of values with aliases written out: a few lines of aliases can name billions."""
MERGE = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """Text that is not YAML, with the reason and the line in one line."""


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses tables with a key twice, at every depth."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth = getattr(self, "_depth", 0) + 1
        if self._depth > MOST_LEVELS:
            line = self.line + 1
            raise YamlError(f"line {line} is nested more than {MOST_LEVELS} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[Hashable, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # a list or table as a key is refused when it is constructed
            name = key.value if key.tag == MERGE else self.construct_object(key)
            line = key.start_mark.line + 1
            if name in lines:
                raise YamlError(
                    f"key '{key.value}' is given twice, in lines {lines[name]} and {line}: "
                    "keep one of them"
                )
            lines[name] = line
        return node

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        if node is not None:
            _count_values(node, {})
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, YamlError):
            raise
        except Exception:  # PyYAML's constructors raise many types, as for 2026-13-45
            value = str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else "a value"
            raise YamlError(
                f"line {node.start_mark.line + 1}: '{value}' is not a valid "
                f"{node.tag.rpartition(':')[2]}: quote it"
            ) from None


def load_yaml(text: str) -> Any:
    """Read one YAML document.

    Raises:
        YamlError: the text is not YAML, or a table has a key twice; names the lines.
    """
    try:
        return _StrictLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from None


def _count_values(node: yaml.Node, counts: dict[yaml.Node, int]) -> int:
    """Count the values in a node with aliases written out; refuse one that contains itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    line = node.start_mark.line + 1
    if node not in counts:
        counts[node] = 0  # until it is counted; no finished node has 0 values
        parts = [part for each in node.value for part in (each if type(each) is tuple else (each,))]
        counts[node] = 1 + sum(_count_values(part, counts) for part in parts)
    elif not counts[node]:
        raise YamlError(f"line {line}: a value contains itself")
    if counts[node] > MOST_VALUES:
        raise YamlError(f"line {line}: its aliases stand for more than {MOST_VALUES} values")
    return counts[node]
