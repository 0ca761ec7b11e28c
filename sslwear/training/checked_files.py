"""Array files that end with a checksum: a ``.npy`` file, and the CRC-32 of all its bytes.

NumPy reads the array and ignores what follows it. A slower checksum would not find more damage than a CRC-32 does.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CHECKSUM_BYTES = 4
"""Length of the checksum."""
READ_BYTES = 1 << 24


def array_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Start of the file of an array."""
    header = io.BytesIO()
    write: Callable[..., None] = np.lib.format.write_array_header_1_0
    write(header, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return header.getvalue()


def ending(checksum: int) -> bytes:
    """End of a file whose other bytes have a checksum of `zlib.crc32`."""
    return checksum.to_bytes(CHECKSUM_BYTES, "little")


def is_intact(path: Path) -> bool:
    """Whether a file has the checksum with which it ends.

    Raises:
        OSError: when it cannot be read.
    """
    checksum, left = 0, path.stat().st_size - CHECKSUM_BYTES
    with path.open("rb") as file:
        while left > 0 and (chunk := file.read(min(left, READ_BYTES))):
            checksum, left = zlib.crc32(chunk, checksum), left - len(chunk)
        return file.read() == ending(checksum)
