"""Reads and validates study files; an error names the key and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sslwear.config.changes import Change, changed
from sslwear.config.files import BASE, read, with_base
from sslwear.config.schema import ORIGIN, Settings
from sslwear.config.unused import COMMANDS, SECTIONS, Command, KeyPath, unused_keys
from sslwear.config.values import dotted, plain
from sslwear.errors import SettingsError
from sslwear.utils.paths import user_path

ADDRESSES = ("storage", "tracking")
"""Keys with the addresses of stores, which may have passwords."""
DIRECT = "the settings"
"""Origin of settings that are not from a file."""


def load(path: Path, overrides: Sequence[str] = (), command: Command | None = None) -> Settings:
    """Read a study file.

    Args:
        path: a YAML 1.2 file. It may take another one as its ``base``.
        overrides: ``key=value`` texts with dotted keys, such as ``training.max_epochs=3``; values are YAML. A key
            that an override leaves without effect is removed.
        command: the command that the settings are for, if it is known.

    Raises:
        SettingsError: when the file cannot be read, a key is unknown or would do nothing, or a value is not allowed.
    """
    return check(read(path), [Change.set(text) for text in overrides], str(path), command)


def from_python(
    study: Settings | Mapping[str, Any] | str | Path,
    changes: Mapping[str, Any],
    command: Command | None = None,
) -> Settings:
    """Settings from a path, a mapping or settings, with changes.

    Args:
        study: the path of a study file, its content, or settings. A mapping may have a ``base``; its paths are relative
            to the working directory.
        changes: mappings are merged key by key, other values are replaced, and None removes a key.
        command: the command that the settings are for, if it is known.

    Raises:
        SettingsError: see `load`.
    """
    change = Change.merge(plain(changes))
    if isinstance(study, str | Path):
        return check(read(user_path(study)), [change], str(study), command)
    if not isinstance(study, Settings | Mapping):
        raise SettingsError(
            f"a study cannot be read from {type(study).__name__}. Give a path, a mapping or sslwear.Settings"
        )
    content = plain(study)
    if isinstance(study, Settings):  # which leaves out what is kept nowhere
        content |= {key: value for key in ADDRESSES if (value := getattr(study, key)) is not None}
    if isinstance(study, Mapping):
        content = with_base(content, Path(), DIRECT)
    found = check(content, [change], DIRECT, command)
    return study if isinstance(study, Settings) and not changes else found


def check(content: dict[str, Any], changes: Sequence[Change], origin: str, command: Command | None = None) -> Settings:
    """Change a study file's content and validate it.

    A key of the content must have an effect on `command`, or on what the content is for: an evaluation, if it has one
    and searches nothing. One file can therefore serve several commands. A key that a change gives must have an effect
    on `command`.

    Args:
        content: a study file, without its ``base``. With all sections, as runs log their settings, it states defaults
            too; then only the changes must have an effect.
        changes: changes for this call.
        origin: where the content comes from, for messages.
        command: the command that the settings are for; None for any.

    Raises:
        SettingsError: when a key is unknown or would do nothing, or a value is not allowed.
    """
    complete, change = content.keys() >= SECTIONS, Change.all(changes)
    content = changed(content, change)
    if BASE in content:
        raise SettingsError(f"{origin}: base cannot be changed for one call. Give it in a study file")
    settings = parse(content, origin)
    here = _without_effect(content, command)
    for path, reason in unused_keys(content).items():
        needed = command is not None and not _covers(here, path)
        if not needed and not complete and not change.gives(path):
            raise _refusal(origin, path, reason)
    for path, reason in here.items():
        if change.gives(path):
            raise _refusal(origin, path, reason)
    return settings


def parse(content: Mapping[str, Any], origin: str) -> Settings:
    """Validate settings; `origin` says in messages where they come from.

    Raises:
        SettingsError: naming the first key that is wrong, and what is allowed.
    """
    return Settings.model_validate(content, context={ORIGIN: origin})


def with_effect(settings: Settings, command: Command) -> Settings:
    """Settings with defaults in place of the keys that have no effect on a command."""
    content = settings.model_dump(mode="json") | {key: getattr(settings, key) for key in ADDRESSES}
    for path in unused_keys(content, command):
        section = content
        for name in path[:-1]:
            section = section.get(name) or {}
        section.pop(path[-1], None)
    return parse(content, DIRECT)


def _without_effect(content: Mapping[str, Any], command: Command | None) -> dict[KeyPath, str]:
    """Keys without effect on a command; on every command if it is None."""
    if command is not None:
        return unused_keys(content, command)
    found = [unused_keys(content, one) for one in COMMANDS]
    reasons = {path: reason for keys in found for path, reason in keys.items()}
    return {path: reason for path, reason in reasons.items() if all(_covers(keys, path) for keys in found)}


def _covers(keys: Mapping[KeyPath, str], path: KeyPath) -> bool:
    """Whether a key, or a section around it, is one of some keys."""
    return any(path[:length] in keys for length in range(1, len(path) + 1))


def _refusal(origin: str, path: KeyPath, reason: str) -> SettingsError:
    return SettingsError(f"{origin}: {dotted(path)} would do nothing, because {reason}. Remove it")
