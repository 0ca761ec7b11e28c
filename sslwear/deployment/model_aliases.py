"""Aliases of registered models, such as champion: changes of them, and their history."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from sslwear.deployment.registry import CHAMPION, LONGEST_TEXT, find_model, find_version, versions
from sslwear.errors import StudyError
from sslwear.tracking import Store
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.masking import masked

HISTORY = f"{PREFIX}history."
"""Prefix of tags of a registered model that store the history of an alias."""
LONGEST_REASON = 400
"""Characters of a reason in a history, each of which is up to twelve in JSON; the version has the whole reason."""


def check_alias(alias: str) -> None:
    """Check an alias by MLflow's rules.

    Raises:
        StudyError: when MLflow does not allow it.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,99}", alias) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        raise StudyError(
            f"{alias!r} cannot be an alias. Use a letter, then letters, digits, '_' and '-', but not latest or v1"
        )


def locked(store: Store, name: str) -> AbstractContextManager[None]:
    """Lock of a registered model's aliases on this machine; a StudyError if another process holds it."""
    busy = f"another process is changing the aliases of {name!r}. Wait until it has ended"
    return store.lock(f"model-{name}", busy)


def move_alias(store: Store, name: str, alias: str, version: str, why: str, expected: str | None) -> None:
    """Set an alias to a version, and add the change to the history of the alias.

    Args:
        store: the store.
        name: name of the model.
        alias: alias to move.
        version: new version of the alias.
        why: reason in one sentence.
        expected: current version of the alias; None if it is not set.

    Raises:
        StudyError: when the alias has another version, because it was moved since the comparison.
    """
    now = find_model(store, name).aliases.get(alias)
    if (None if now is None else str(now)) != expected:
        raise StudyError(
            f"{name}@{alias} was {'deleted' if now is None else f'moved to version {now}'} during the comparison. "
            "Repeat the command"
        )
    steps = history(store, name, alias)
    if expected is not None and (not steps or steps[-1]["version"] != expected):
        steps.append({"version": expected, "when": "", "why": "set by hand"})
    when = datetime.now(UTC).isoformat(timespec="seconds")
    store.client.set_registered_model_alias(name, alias, version)
    steps.append({"version": version, "when": when, "why": masked(why)[:LONGEST_REASON]})
    while len(json.dumps(steps)) > LONGEST_TEXT and len(steps) > 1:
        steps.pop(0)
    store.client.set_registered_model_tag(name, f"{HISTORY}{alias}", json.dumps(steps))


def history(store: Store, name: str, alias: str) -> list[dict[str, str]]:
    """Versions of an alias with time and reason, oldest first, without versions that were rolled back.

    The oldest ones are forgotten when the text would be longer than `LONGEST_TEXT`.
    """
    steps: list[dict[str, str]] = json.loads(find_model(store, name).tags.get(f"{HISTORY}{alias}", "[]"))
    return steps


def rollback(store: Store, name: str, alias: str = CHAMPION) -> tuple[str, str]:
    """Set an alias back to its previous version.

    Returns:
        The version until now, or ``no version`` if it was deleted, and the new one.

    Raises:
        StudyError: when the model does not exist, or the alias has no previous version.
    """
    current = find_model(store, name).aliases.get(alias)
    now = "no version" if current is None else str(current)  # its version was deleted
    known = {str(version.version) for version in versions(store, name)}
    steps = history(store, name, alias)
    while steps and (steps[-1]["version"] == now or steps[-1]["version"] not in known):
        steps.pop()
    if not steps:
        find_version(store, f"{name}@{alias}")  # names the aliases where this one is not set
        raise StudyError(f"{name}@{alias} has no previous version. It is version {now}")
    before = steps[-1]["version"]
    store.client.set_registered_model_alias(name, alias, before)
    store.client.set_registered_model_tag(name, f"{HISTORY}{alias}", json.dumps(steps))
    return _numbered(now), before


def _numbered(version: str) -> str:
    return version if version == "no version" else f"version {version}"
