"""Files and folders that are on the disk after a power failure."""

from __future__ import annotations

import os
from pathlib import Path


def synchronise(path: Path) -> None:
    """Let a file have its content, or a folder its names, after a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
