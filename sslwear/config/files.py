"""Study files on disk: their YAML, the file that they take as a base, and relative paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslwear.config.changes import Change, changed
from sslwear.config.yaml import YamlError, from_yaml
from sslwear.errors import SettingsError

BASE = "base"
"""Key of the study file that a study file changes."""
NO_FILES = ("none", "hub")
"""Values of ``weights`` that are no paths."""
DATASET_FILES = ("X.npy", "dataset.json", "*/report.json")
"""Files by which a folder with a bare name is known as data, and not taken for a source."""


def read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Content of a study file, with its base, and with paths that hold from the working directory.

    Relative paths are relative to the file that has them. A path that does not exist there is left as it is, which
    makes it relative to the working directory.

    Args:
        path: a YAML file.
        above: files that take this one as their base, the first one first.

    Raises:
        SettingsError: when a file cannot be read, is no mapping, or is its own base.
    """
    chain = (*above, path)
    if any(path.resolve() == other.resolve() for other in above):
        raise SettingsError(f"{above[0]}: base leads back to the same file: {' -> '.join(map(str, chain))}")
    content = _mapping(path)
    base = content.pop(BASE, None)
    content = _located(content, path.parent)
    if base is None:
        return content
    if not isinstance(base, str):
        raise SettingsError(f"{path}: base: input should be the path of a study file, but got {base!r}")
    places = (path.parent / Path(base).expanduser(), Path(base))
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        raise SettingsError(f"{path}: base: there is no study file {base}. Give a path relative to {path.parent}")
    return changed(read(place, chain), Change.merge(content))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = from_yaml(path.read_text())
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no study file {path}; give the path of one such as experiments/quickstart.yaml"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}); give a YAML file") from error
    except YamlError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must be a YAML mapping that starts with 'study:' and 'data:'")
    return content


def _located(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Content with its relative paths replaced where they exist below the file's folder."""
    found = dict(content)
    _replace(found, "data", folder, _data)
    _replace(found, "weights", folder, _weights)
    _replace(found, "plugins", folder, _beside)
    for section in ("pretraining", "evaluation"):
        if isinstance(found.get(section), Mapping):
            found[section] = dict(found[section])
    if isinstance(found.get("pretraining"), dict):
        _replace(found["pretraining"], "data", folder, _data)
    evaluation = found.get("evaluation")
    if isinstance(evaluation, dict) and isinstance(evaluation.get("methods"), Mapping):
        methods = evaluation["methods"]
        evaluation["methods"] = {n: dict(m) if isinstance(m, Mapping) else m for n, m in methods.items()}
        for method in evaluation["methods"].values():
            if isinstance(method, dict):
                _replace(method, "weights", folder, _weights)
    return found


def _replace(section: dict[str, Any], key: str, folder: Path, find: Any) -> None:
    value = section.get(key)
    if isinstance(value, str):
        section[key] = find(value, folder)
    elif isinstance(value, list):
        section[key] = [find(one, folder) if isinstance(one, str) else one for one in value]


def _beside(text: str, folder: Path) -> str:
    """A path that is relative to a folder, if something exists there; the text itself otherwise."""
    place = folder / Path(text).expanduser()
    try:
        if not text or not place.exists() or (Path(text).exists() and place.samefile(text)):
            return text
    except (OSError, ValueError):  # it cannot be a path
        return text
    return os.path.abspath(place)  # noqa: PTH100 - keeps links, as the user wrote them


def _weights(text: str, folder: Path) -> str:
    return text if text in NO_FILES or ":/" in text else _beside(text, folder)


def _data(text: str, folder: Path) -> str:
    if Path(text).name == text and not any(any((folder / text).glob(pattern)) for pattern in DATASET_FILES):
        return text  # the name of a source
    return _beside(text, folder)
