"""YAML 1.2, as study files and kept settings are written: `1e-3` is a number, `on`, `no` and `yes` are text."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from sslwear.config.values import MOST_LEVELS, shown

MOST_COLUMNS = 2**20
"""Long texts stay on one line."""
MOST_VALUES = 20_000
"""Largest number of keys and values, where an anchor counts as often as it is used."""
UNREADABLE = (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError)
"""What the library raises for a scalar that is not of the kind it looks like, or is tagged as."""
TOO_DEEP = f"it has more than {MOST_LEVELS} levels of lists and mappings"


class YamlError(Exception):
    """A text is not YAML 1.2; the message says what is wrong, and in which line."""


def from_yaml(text: str) -> Any:
    """Value of a YAML 1.2 text.

    Raises:
        YamlError: when it is not YAML, a key is given twice, or it is too large or too deeply nested.
    """
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    reader.Constructor = _Constructor
    try:
        return reader.load(text)
    except MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise YamlError(f"{' '.join(str(error.problem).split())}{line}") from error
    except RecursionError as error:
        raise YamlError(TOO_DEEP) from error
    except (YAMLError, ValueError) as error:  # an unknown version, or characters that YAML does not allow
        raise YamlError(" ".join(str(error).split())) from error


def to_yaml(content: Any) -> str:
    """YAML 1.2 text of mappings, lists, text, numbers, booleans and None; keys stay in order."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = False  # line separators are characters, and no line ends
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = MOST_COLUMNS
    text = io.StringIO()
    writer.dump(content, text)
    return text.getvalue()


class _Constructor(SafeConstructor):
    """Builds values; errors name the key or the value and its line."""

    def construct_document(self, node: Any) -> Any:
        """Value of a document.

        Raises:
            ConstructorError: when it is too large or too deeply nested.
        """
        _extent(node, {})
        return super().construct_document(node)

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
        """Check that a key is given once, because the other value would be ignored.

        Raises:
            ConstructorError: when it is given twice.
        """
        if key in mapping:
            raise ConstructorError(problem=f"the key {shown(key)} is given twice", problem_mark=key_node.start_mark)
        return True

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Value of a node.

        Raises:
            ConstructorError: when it looks like a number or a date but is not valid, such as 2024-02-30.
        """
        try:
            return super().construct_object(node, deep)
        except UNREADABLE as error:
            problem = f"{shown(node.value)} cannot be read ({error}); put it in quotes"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from error


def _extent(node: Any, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Number of values and of levels below a node, with anchors expanded.

    Args:
        node: a node.
        known: what is known of other nodes; None for those that contain this one.

    Raises:
        ConstructorError: when it has too many, or contains itself.
    """
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise ConstructorError(problem="an anchor contains itself", problem_mark=node.start_mark)
        return found
    known[id(node)] = None
    inner: list[Any] = []
    if isinstance(node, MappingNode):
        inner = [part for pair in node.value for part in pair]
    elif isinstance(node, SequenceNode):
        inner = node.value
    below = [_extent(part, known) for part in inner]
    values = 1 + sum(count for count, _ in below)
    levels = 1 + max((depth for _, depth in below), default=-1)
    if values > MOST_VALUES:
        problem = f"it has more than {MOST_VALUES:,} values after its anchors are expanded"
        raise ConstructorError(problem=problem, problem_mark=node.start_mark)
    if levels > MOST_LEVELS:
        raise ConstructorError(problem=TOO_DEEP, problem_mark=node.start_mark)
    known[id(node)] = values, levels
    return values, levels
