"""A recording read piece by piece is the recording read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslwear.data import streaming
from sslwear.data.devices import DeviceFiles
from sslwear.data.streaming import stream
from sslwear.data.windows import cut_recording


def compare(file: Path, folder: Path, piece: int, window_s: int) -> streaming.Streamed:
    """Read a file in both ways, and cut windows side by side at 30 Hz, which must be the same."""
    source = DeviceFiles([file])
    (whole,) = source.recordings(source.participants()[0])
    cut = cut_recording(whole, 30, window_s, window_s)
    folder.mkdir(exist_ok=True)
    with stream(file, folder) as recording:
        found = list(recording.windows(30, 30 * window_s, piece))
    np.testing.assert_allclose(np.concatenate([part.samples for part in found]), cut.windows, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([part.start for part in found]), cut.start)
    np.testing.assert_array_equal(np.concatenate([part.worn for part in found]), cut.worn)
    assert (recording.note, recording.rate_hz, recording.start) == (whole.note, whole.rate_hz, whole.start)
    assert list(folder.iterdir()) == []
    return recording
