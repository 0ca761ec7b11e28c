"""Changes of a data set's files while it is in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sslwear.data.arrays import fingerprint_of
from sslwear.errors import DataChangedError, DataError

FileStates = dict[str, tuple[int, int, int]]
"""Size in bytes, time of change in nanoseconds and inode of each file, by name."""


def file_states(folder: Path) -> FileStates:
    """States of the arrays in a folder, which tell whether a file was changed; empty for a missing folder."""
    states = {}
    for path in folder.glob("*.npy"):
        try:
            found = path.stat()
        except OSError:  # deleted since it was listed, or a link that leads nowhere
            continue
        states[path.name] = (found.st_size, found.st_mtime_ns, found.st_ino)
    return states


def check_unchanged(
    folder: Path, before: FileStates, fingerprint: str, load: Callable[[Path], Mapping[str, NDArray[Any]]]
) -> None:
    """Check that the arrays in a folder have the same content as when they were opened.

    They are read again only if the state of a file differs.

    Args:
        folder: the folder.
        before: states of the files when they were opened; empty for arrays in memory, which are not checked. It is
            updated when the files differ and their content does not.
        fingerprint: SHA-256 of the arrays when they were opened.
        load: reads the arrays.

    Raises:
        DataChangedError: when the content differs, or cannot be read any more.
    """
    if not before or (now := file_states(folder)) == before:
        return
    try:
        same = fingerprint_of(load(folder)) == fingerprint
    except DataError:  # a file is missing or damaged
        same = False
    if not same:
        raise DataChangedError(
            f"{folder} was changed while it was in use, so nothing more is trained on it. Restore its files and run "
            "the same command again, or start anew with --set study=NAME"
        )
    before.clear()
    before.update(now)
