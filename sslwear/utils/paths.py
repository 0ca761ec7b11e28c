"""Paths that a user gives, which may be anything."""

from __future__ import annotations

from pathlib import Path


def user_path(text: Path | str) -> Path:
    """A path with ``~`` replaced by the home folder; unchanged if there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; also False for a path that the system refuses, such as too long a name."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is such a file; also False for a path that the system refuses, such as too long a name."""
    try:
        return path.is_file()
    except OSError:
        return False
