"""Recorded numbers of prepared windows: when the arithmetic changes, PREPARATION_VERSION must be raised.

When this test fails because the change is intended, raise the constant and record the new numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sslwear.data.devices import DeviceFiles
from sslwear.data.prepare import PREPARATION_VERSION, WindowPlan, prepare
from sslwear.data.sources.base import Recording, Source

RECORDED: dict[int, dict[str, list[float]]] = {
    3: {
        "source": [36, 0.5180761, -0.3645327, 1.299904, 2138, 16, 30, 8],
        "csv": [8, 0.5288883, 0.1706904, 1.087987, 345740, 0, 8],
        "rounded": [11, 0.5207663, 0.1695338, 1.210559, 475475, 0, 11],
    }
}


class Artificial(Source):
    """Two minutes at 50 Hz with a gap, labels of 7 s, non-wear and clipping; no random numbers are in it."""

    title = licence = citation = homepage = "artificial"
    class_names = ("a", "b")  # type: ignore[assignment]
    embedded = True
    limit_g = 1.3

    def participants(self) -> Sequence[str]:
        return ["anna"]

    def files(self, participant: int | str) -> Sequence[str]:
        return ()

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        time = np.delete(np.arange(6000) / 50, slice(2000, 2100))
        label = pd.Categorical.from_codes((time // 7 % 3).astype(int) - 1, ["a", "b"])
        yield Recording(participant, signal(time), 50.0, label, time, np.datetime64("2024-05-01"), time < 100)


Artificial.name = "artificial"  # after the definition, so that no search for sources finds it


def signal(time: np.ndarray) -> np.ndarray:
    axes = [0.4 * np.sin(5 * time), 0.2 * np.cos(3.3 * time), 1 + 0.3 * np.sin(0.7 * time)]
    return np.stack(axes, axis=1).astype(np.float32)


def numbers(folder: Path) -> list[float]:
    windows = np.load(folder / "X.npy")
    start = np.load(folder / "T.npy").astype("datetime64[ms]").astype(np.int64) % 86_400_000
    codes = np.unique(np.load(folder / "Y.npy"), return_inverse=True)[1]
    worn = np.load(folder / "worn.npy") if (folder / "worn.npy").exists() else np.ones(len(windows), bool)
    values = [windows.astype(float).std(), windows[1, 17, 0], windows[-1, -1, 2], start.sum() / 1000]
    return [float(value) for value in (len(windows), *values, codes.sum(), worn.sum())]


def test_the_windows_of_a_source_are_as_recorded(tmp_path: Path) -> None:
    (report,) = prepare(Artificial(), tmp_path / "out", WindowPlan(5, 2))
    found = [*numbers(tmp_path / "out"), report.clipped]
    assert found == pytest.approx(RECORDED[PREPARATION_VERSION]["source"], rel=1e-5)


def test_the_windows_of_a_csv_recording_are_as_recorded(tmp_path: Path) -> None:
    time = np.arange(6000) / 100
    table = pd.DataFrame(signal(time) + 0.2 * np.sin(2 * np.pi * 30 * time)[:, None], columns=["x", "y", "z"])
    table.insert(0, "time", np.datetime64("2024-05-01T12:00", "ns") + (time * 1e9).astype("timedelta64[ns]"))
    table.to_csv(tmp_path / "anna.csv", index=False)
    (tmp_path / "labels.csv").write_text("participant,start,end,label\nanna,2024-05-01 12:00,2024-05-01 12:00:40,a\n")
    prepare(DeviceFiles([tmp_path / "anna.csv"], tmp_path / "labels.csv"), tmp_path / "out", WindowPlan(5, 5))
    assert numbers(tmp_path / "out") == pytest.approx(RECORDED[PREPARATION_VERSION]["csv"], rel=1e-5)


def test_the_windows_of_rounded_times_and_a_set_back_are_as_recorded(tmp_path: Path) -> None:
    time = np.arange(3600) / 60
    shown = np.floor(np.where(time < 57, time, time - 3) * 1000 + 1e-6).astype("timedelta64[ms]")
    table = pd.DataFrame(signal(time), columns=["x", "y", "z"]).assign(time=np.datetime64("2024-05-01T12:00") + shown)
    table.to_csv(tmp_path / "anna.csv", index=False)
    (tmp_path / "labels.csv").write_text("participant,start,end,label\nanna,2024-05-01 12:00,2024-05-01 12:01:00,a\n")
    prepare(DeviceFiles([tmp_path / "anna.csv"], tmp_path / "labels.csv"), tmp_path / "out", WindowPlan(5, 5))
    assert numbers(tmp_path / "out") == pytest.approx(RECORDED[PREPARATION_VERSION]["rounded"], rel=1e-5)
