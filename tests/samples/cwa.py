"""Small files in the Axivity format, with the blocks and checksums that a device writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLES = 80
"""In a block, of three 16-bit numbers each."""
UNIT = 4096
"""Counts in a g."""


def write(path: Path, samples: NDArray[np.floating], start: np.datetime64, temperature: NDArray[np.floating]) -> Path:
    """Write samples (n, 3) in g at 50 Hz, n a multiple of 80, with a temperature in degrees for each block.

    A block: mark, length and device; a packed time, six bits each of seconds and minutes, five of hours and days, four
    of months; scale; temperature; rate; axes; where in the block the time is; how many samples; 16-bit words of all
    of it add up to zero.
    """
    rate_hz, header = 50, bytearray(1024)
    header[:2] = b"MD"
    blocks = [bytes(header)]
    for i in range(len(samples) // SAMPLES):
        # a time is of a whole second: it is said how many samples after the block's start that is
        seconds = i * SAMPLES / rate_hz
        whole = int(np.ceil(seconds))
        moment = (start + np.timedelta64(whole, "s")).astype("datetime64[s]").astype(object)
        packed = (moment.year - 2000) << 26 | moment.month << 22 | moment.day << 17
        packed |= moment.hour << 12 | moment.minute << 6 | moment.second
        block = bytearray(512)
        block[:2] = b"AX"
        block[2:4] = np.array(508, "<u2").tobytes()
        block[14:18] = np.array(packed, "<u4").tobytes()
        block[18:20] = np.array(4 << 13, "<u2").tobytes()
        block[20:22] = np.array(round((temperature[i] * 1000 + 20500) / 150), "<u2").tobytes()
        block[24] = 0x40 | 9  # 50 Hz: 3200 / 2 ** (15 - 9)
        block[25] = 0x32
        block[26:28] = np.array(round((whole - seconds) * rate_hz), "<i2").tobytes()
        block[28:30] = np.array(SAMPLES, "<u2").tobytes()
        block[30:510] = np.rint(samples[i * SAMPLES : (i + 1) * SAMPLES] * UNIT).astype("<i2").tobytes()
        words = np.frombuffer(bytes(block), "<u2")
        block[510:] = np.array(-int(words.sum(dtype=np.uint64)) & 0xFFFF, "<u2").tobytes()
        blocks.append(bytes(block))
    path.write_bytes(b"".join(blocks))
    return path
