"""Study files on disk: their YAML, the file that they take as a base, and relative paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslwear.config.changes import Change, changed
from sslwear.config.values import dotted, shown
from sslwear.config.yaml import YamlError, from_yaml
from sslwear.errors import SettingsError

BASE = "base"
"""Key of the study file that a study file changes."""
MOST_BYTES = 200_000
"""Size of the largest study file; a longer one takes seconds to read, and is something else."""
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
    return with_base(_located(_mapping(path), path.parent), path.parent, str(path), chain)


def with_base(content: Mapping[str, Any], folder: Path, origin: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Content of a study file with that of its base.

    Args:
        content: a study file.
        folder: the folder that its base is relative to.
        origin: where the content comes from, for messages.
        above: see `read`, with the file itself.

    Raises:
        SettingsError: when the base cannot be read.
    """
    content = dict(content)
    base = content.pop(BASE, None)
    if base is None:
        return content
    if not isinstance(base, str) or not base:
        raise SettingsError(f"{origin}: base: input should be the path of a study file, but got {shown(base)}")
    places = (folder / os.path.expanduser(base), Path(base))  # noqa: PTH111 - leaves unknown users as they are
    place = next((place for place in places if _is_file(place)), None)
    if place is None:
        where = "the working directory" if folder == Path() else folder
        raise SettingsError(f"{origin}: base: there is no study file {_name(base)}. Give a path relative to {where}")
    return changed(read(place, above), Change.merge(content))


def _mapping(path: Path) -> dict[str, Any]:
    name = _name(path)
    try:
        with path.open("rb") as file:  # a pipe has no size
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SettingsError(f"{name} has more than {MOST_BYTES // 1000} kB; give a study file, which is short")
        content = from_yaml(data.decode())
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no study file {name}; give the path of one such as experiments/quickstart.yaml"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name} cannot be read, because it is not text in UTF-8; give a YAML file") from error
    except OSError as error:
        raise SettingsError(f"{name} cannot be read ({error.strerror}); give a YAML file") from error
    except ValueError as error:  # a NUL character in the path
        raise SettingsError(f"{name} is not a path; give the path of a study file") from error
    except YamlError as error:
        raise SettingsError(f"{name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{name} must be a YAML mapping that starts with 'study:' and 'data:'")
    return content


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL character
        return False


def _name(path: Path | str) -> str:
    """A path in a message."""
    return dotted([path])


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
    place = folder / os.path.expanduser(text)  # noqa: PTH111 - leaves unknown users as they are
    try:
        if not text or not place.exists() or (Path(text).exists() and place.samefile(text)):
            return text
    except (OSError, ValueError):  # it cannot be a path
        return text
    return os.path.abspath(place)  # noqa: PTH100 - keeps links, as the user wrote them


def _weights(text: str, folder: Path) -> str:
    return text if text in NO_FILES or ":/" in text else _beside(text, folder)


def _data(text: str, folder: Path) -> str:
    try:
        if Path(text).name == text and not any(any((folder / text).glob(pattern)) for pattern in DATASET_FILES):
            return text  # the name of a source
    except (OSError, ValueError):  # it cannot be a path
        return text
    return _beside(text, folder)
