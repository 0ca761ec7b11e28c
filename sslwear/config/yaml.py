"""YAML 1.2, as study files and kept settings are written: `1e-3` is a number, `on`, `no` and `yes` are text."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

MOST_COLUMNS = 2**20
"""Long texts stay on one line."""


class YamlError(Exception):
    """A text is not YAML 1.2; the message says what is wrong, and in which line."""


def from_yaml(text: str) -> Any:
    """Value of a YAML 1.2 text.

    Raises:
        YamlError: when it is not YAML, or a key is given twice.
    """
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    reader.Constructor = _Constructor
    try:
        return reader.load(text)
    except MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise YamlError(f"{' '.join(str(error.problem).split())}{line}") from error
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

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
        """Check that a key is given once, because the other value would be ignored.

        Raises:
            ConstructorError: when it is given twice.
        """
        if key in mapping:
            raise ConstructorError(problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark)
        return True

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Value of a node.

        Raises:
            ConstructorError: when it looks like a number or a date but is not valid, such as 2024-02-30.
        """
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"{node.value!r} cannot be read ({error}); put it in quotes"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from error
