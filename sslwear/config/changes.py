"""Changes of a study file's content: by a file that has it as its base, and by ``--set``."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sslwear.config.kinds import SPELLINGS
from sslwear.config.unused import KeyPath, unused_keys
from sslwear.config.values import dotted, shown
from sslwear.config.yaml import YamlError, from_yaml
from sslwear.errors import SettingsError

METHODS = ("evaluation", "methods")
NAME = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."'=]+?))\s*(\.|=|$)""")
"""A name in a dotted key, and what ends it; in quotes it may have dots."""


@dataclass(frozen=True)
class Change:
    """A change of a study file's content.

    Attributes:
        apply: changes content in place.
        given: keys that it gives, with all keys below them.
    """

    apply: Callable[[dict[str, Any]], None]
    given: frozenset[KeyPath]

    @classmethod
    def merge(cls, content: Mapping[str, Any]) -> Self:
        """Merge mappings key by key; other values, lists too, are replaced, and null removes a key."""
        return cls(lambda target: _merge(target, content, ()), frozenset(_leaves(content, ())))

    @classmethod
    def set(cls, text: str) -> Self:
        """Set a key from ``key=value``, where the value is YAML; null removes a key.

        Names that have dots are in quotes, as in ``evaluation.methods."a.b".tuning=all``. Keys of a search, such as
        ``search.training.dropout``, need none.

        Raises:
            SettingsError: when the text is not of this form, or the value is not YAML.
        """
        path, value = _parsed(text)

        def apply(target: dict[str, Any]) -> None:
            section: Any = target
            for name in path[:-1]:
                if section.get(name) is None:
                    section[name] = {}
                section = section[name]
                if not isinstance(section, dict):
                    raise SettingsError(f"--set {dotted([text])}: {name} has no keys below it")
            _drop_other_spellings(section, path)
            if value is None and path[-1] in section:
                del section[path[-1]]
            else:
                section[path[-1]] = value

        return cls(apply, frozenset({path}))

    @classmethod
    def all(cls, changes: Sequence[Change]) -> Self:
        """Several changes, one after the other, as one."""

        def apply(target: dict[str, Any]) -> None:
            for change in changes:
                change.apply(target)

        return cls(apply, frozenset[KeyPath]().union(*(change.given for change in changes)))

    def gives(self, path: KeyPath) -> bool:
        """Whether it gives a key, or a section around it or in it."""
        return any(path[: len(one)] == one or one[: len(path)] == path for one in self.given)


def changed(content: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Content after a change, without the keys that the change left without effect.

    Turning off ``training.augment`` removes ``training.augment_degrees``, for example. Keys that the change itself
    gives, and keys that did nothing before it, stay.
    """
    result = copy.deepcopy(dict(content))
    before = unused_keys(result)
    change.apply(result)
    for path in unused_keys(result):
        if path not in before and not change.gives(path):
            section = result
            for name in path[:-1]:
                section = section.get(name, {})  # the section itself may have been removed before
            section.pop(path[-1], None)
    return result


def _leaves(content: Mapping[str, Any], path: KeyPath) -> list[KeyPath]:
    found: list[KeyPath] = []
    for key, value in content.items():
        mine = (*path, key)
        found += _leaves(value, mine) if isinstance(value, Mapping) and value else [mine]
    return found


def _merge(target: dict[str, Any], content: Mapping[str, Any], path: KeyPath) -> None:
    for key, value in content.items():
        mine = (*path, key)
        _drop_other_spellings(target, mine)
        if value is None and key in target:
            del target[key]
        elif isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value, mine)
        else:
            target[key] = copy.deepcopy(value)


def _drop_other_spellings(section: dict[str, Any], path: KeyPath) -> None:
    """Remove other spellings of a key, because the change replaces it."""
    if path[:-1] == METHODS:  # names of methods
        return
    for pair in SPELLINGS.items():
        if path[-1] in pair:
            for spelling in pair:
                if spelling != path[-1]:
                    section.pop(spelling, None)


def _parsed(text: str) -> tuple[KeyPath, Any]:
    wrong = SettingsError(
        f"--set {dotted([text])}: write key=value, for example --set training.max_epochs=3. Names with dots are in "
        "quotes"
    )
    path, place, end = [], 0, "."
    while end == ".":
        found = NAME.match(text, place)
        if found is None:
            raise wrong
        path.append(next(name for name in found.groups()[:3] if name is not None))
        place, end = found.end(), found[4]
    if end != "=" or not all(path):
        raise wrong
    value = text[place:]
    try:
        return _of_search(tuple(path)), from_yaml(value)
    except YamlError as error:
        raise SettingsError(f"--set {dotted([text])}: {shown(value)} is not a YAML value") from error


def _of_search(path: KeyPath) -> KeyPath:
    """A path in which a key of `search` with its section is one name."""
    start = len(METHODS) + 1 if path[: len(METHODS)] == METHODS else 0
    match path[start:]:
        case ("search", "training" | "pretraining" as section, key, *rest):
            return (*path[:start], "search", f"{section}.{key}", *rest)
    return path
