"""Comparison of a recording that is read piece by piece with the one that actipy reads as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import actipy
import numpy as np
import pandas as pd
from actipy import processing

from sslwear.data.files.device_checks import capture_output, is_table, reading_note, span
from sslwear.data.files.device_reader import DeviceRecording, open_recording
from sslwear.data.recording import Recording
from tests.cutting import cut_recording


def read_with_actipy(file: Path) -> Recording:
    """The whole file through actipy, as its documentation describes it."""
    (data, info), printed = capture_output(lambda: _csv(file) if is_table(file) else _device(file), file)
    note = reading_note(file, len(data), info, printed)
    data = data[["x", "y", "z"]]
    worn = np.ones(len(data), bool)
    for start, length in processing.find_nonwear_segments(data).items():
        worn[data.index.slice_indexer(start, start + length)] = False
    when = data.index.to_numpy("datetime64[ns]")
    time = (when.view(np.int64) - when[0].astype(np.int64)) / 1e9
    samples = data.to_numpy(np.float32)
    note += f", {span(when[0], when[-1])}"
    return Recording(file.name, samples, float(info["SampleRate"]), None, time, when[0], worn, note)


def _device(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    return actipy.read_device(
        str(file), 20, calibrate_gravity=True, detect_nonwear=False, resample_hz=None, verbose=False
    )


def _csv(file: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    text = pd.read_csv(file, dtype=str).loc[:, ["time", "x", "y", "z"]]
    unfinished = not file.name.endswith(".gz") and not file.read_bytes().endswith(b"\n")
    text = text.iloc[:-1] if unfinished else text
    data = pd.DataFrame({name: text[name].astype(np.float32) for name in "xyz"})
    data["time"] = pd.to_datetime(text["time"], format="ISO8601")
    data = data[np.isfinite(data[["x", "y", "z"]]).all(axis=1)]
    data = data.sort_values("time", kind="stable").drop_duplicates("time").set_index("time")
    rate_hz = 1e9 / np.median(np.diff(data.index.to_numpy("datetime64[ns]")).astype(np.int64))
    data, info = actipy.process(
        data, rate_hz, 20, calibrate_gravity=True, detect_nonwear=False, resample_hz=None, verbose=False
    )
    return data, {**info, "SampleRate": round(rate_hz, 3), "Device": "CSV", "Unfinished": unfinished}


def compare(
    file: Path, folder: Path, size: int, window_s: int, step_s: int | None = None, rate_hz: float = 30
) -> DeviceRecording:
    """Read a file in both ways and cut windows, which must be the same."""
    whole = read_with_actipy(file)
    step_s = step_s or window_s
    cut = cut_recording(whole, rate_hz, window_s, step_s)
    folder.mkdir(exist_ok=True)
    with open_recording(file, folder) as recording:
        found = list(recording.windows(rate_hz, window_s, step_s, size=size))
    np.testing.assert_allclose(np.concatenate([part.samples for part in found]), cut.samples, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([part.start for part in found]), cut.start)
    np.testing.assert_array_equal(np.concatenate([part.worn for part in found]), cut.worn)
    assert (recording.note, recording.nominal_hz, recording.start) == (whole.note, whole.rate_hz, whole.start)
    assert list(folder.iterdir()) == []
    return recording
