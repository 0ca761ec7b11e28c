"""Checksums of the files of a checkpoint, written beside them and compared when they are loaded."""

from __future__ import annotations

from pathlib import Path

from sslwear.errors import WeightsError
from sslwear.utils.digests import sha256

CHECKSUMS = "checksums.sha256"
"""File with the SHA-256 of each file in its folder, in the format of ``sha256sum``."""


def write(folder: Path) -> None:
    """Write the checksums of all files in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)
    (folder / CHECKSUMS).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), encoding="utf-8")


def verify(folder: Path) -> None:
    """Compare the files in a folder with their checksums; checkpoints of earlier versions have none.

    Raises:
        WeightsError: when a file is not as it was written.
    """
    listed = folder / CHECKSUMS
    if not listed.is_file():
        return
    for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
        expected, _, name = line.partition("  ")
        if (folder / name).is_file() and sha256(folder / name) != expected:
            raise WeightsError(
                f"{folder / name} is damaged: its SHA-256 is not the one in {CHECKSUMS}. "
                "Restore it from a backup, or train again"
            )
