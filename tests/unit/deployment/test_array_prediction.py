"""Prediction of windows in .npy files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sslwear.deployment.prediction.array_prediction import is_array, predict_arrays
from sslwear.deployment.prediction.files import Options
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from sslwear.errors import DataError, SettingsError

CARD = Card("cnn5", 150, 30.0, "g", ("walk", "sit"), "a data set", "f", None, training_samples=250)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model(network(CARD), CARD)


def windows(samples: int = 250, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal([0, 0, 1], 0.1, (count, samples, 3)).astype(np.float32)


@pytest.mark.parametrize("samples", [150, 250])
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_each_window_has_a_row(tmp_path: Path, model: Model, samples: int, format_: str) -> None:
    np.save(tmp_path / "monday.npy", windows(samples))
    (outcome,) = predict_arrays([tmp_path / "monday.npy"], model, Options(tmp_path / "out", format_))
    assert (outcome.name, outcome.windows, outcome.error) == ("monday", 6, None)
    path = tmp_path / "out" / f"monday.{format_}"
    table = pd.read_csv(path) if format_ == "csv" else pd.read_parquet(path)
    expected = model.predict(windows(samples))
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, atol=1e-4)
    assert list((tmp_path / "out").iterdir()) == [path]


def test_participants_and_times_beside_the_windows_are_kept(tmp_path: Path, model: Model) -> None:
    start = np.datetime64("2024-05-01T09:00:00") + np.arange(6) * np.timedelta64(5, "s")
    for name, array in {"X": windows(), "pid": np.array(["a", "b"] * 3), "T": start}.items():
        np.save(tmp_path / f"{name}.npy", array)
    predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    table = pd.read_csv(tmp_path / "out" / "X.csv", parse_dates=["time"])
    assert list(table.columns) == ["participant", "time", "label", "p_walk", "p_sit"]
    assert table["participant"].tolist() == ["a", "b"] * 3
    assert (table["time"].to_numpy() == start).all()


@pytest.mark.parametrize("axes_first", [False, True])
@pytest.mark.parametrize("how", ["window_s", "rate_hz", "T", "T without pid"])
def test_windows_of_another_length_in_seconds_are_refused(
    tmp_path: Path, model: Model, how: str, axes_first: bool
) -> None:
    arrays = {"X": windows(150), "pid": np.zeros(6, int), "T": np.arange(6) * 3.0}
    if axes_first:
        arrays["X"] = arrays["X"].transpose(0, 2, 1)
    if how != "T":
        del arrays["pid"]
    if how in ("window_s", "rate_hz"):
        del arrays["T"]
        (tmp_path / "dataset.json").write_text(json.dumps({"name": "mine", how: {"window_s": 3, "rate_hz": 50}[how]}))
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (outcome,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    assert "X.npy has windows of 3 s, but this model takes 5 s" in (outcome.error or "")
    assert not (tmp_path / "out").exists()


def test_a_length_that_is_not_known_is_said(tmp_path: Path, model: Model) -> None:
    np.save(tmp_path / "X.npy", windows())
    (unknown,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    assert unknown.note == "taken as windows of 5 s at 50 Hz"
    (tmp_path / "dataset.json").write_text('{"name": "mine", "rate_hz": 50}')
    (known,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out", overwrite=True))
    assert known.note == "windows of 5 s"


@pytest.mark.parametrize("change", [lambda x: 9.8 * x, lambda x: x - [0, 0, 1], lambda x: x / 9.8])
def test_a_participant_in_another_unit_is_named(tmp_path: Path, model: Model, change: Any) -> None:
    found = windows(count=100)
    found[:4] = change(found[:4])
    np.save(tmp_path / "X.npy", found)
    np.save(tmp_path / "pid.npy", np.where(np.arange(100) < 4, "b", "a"))
    (outcome,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    assert "X.npy cannot be in g: the resting length of its acceleration of participant b is" in (outcome.error or "")


@pytest.mark.parametrize(
    "array", [np.array(1.0), np.zeros(5), np.zeros((5, 3)), np.zeros((2, 3, 3)), np.zeros((2, 2, 2, 2))]
)
def test_arrays_of_another_shape_are_refused(tmp_path: Path, model: Model, array: np.ndarray) -> None:
    np.save(tmp_path / "X.npy", array)
    (outcome,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    assert "This model takes (N, 150, 3)" in (outcome.error or "")


def test_a_sample_that_is_not_a_number_is_named_beside_participants(tmp_path: Path, model: Model) -> None:
    found = windows()
    found[3, 7, 1] = np.nan
    np.save(tmp_path / "X.npy", found)
    np.save(tmp_path / "pid.npy", np.arange(6))
    (outcome,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    assert "NaN or infinite samples, first in window 3" in (outcome.error or "")


def test_windows_that_were_not_worn_have_no_label(tmp_path: Path, model: Model) -> None:
    found = windows()
    found[[1, 4]] = 0
    np.save(tmp_path / "X.npy", found)
    np.save(tmp_path / "worn.npy", found.any(axis=(1, 2)))
    (outcome,) = predict_arrays([tmp_path / "X.npy"], model, Options(tmp_path / "out"))
    assert (outcome.windows, outcome.error) == (6, None)
    table = pd.read_csv(tmp_path / "out" / "X.csv")
    assert list(table.columns) == ["worn", "label", "p_walk", "p_sit"]
    for column in ("label", "p_walk", "p_sit"):
        assert table[column].isna().tolist() == [False, True, False, False, True, False]
    expected = model.predict(windows())
    assert table["label"].dropna().tolist() == expected["label"][[0, 2, 3, 5]].tolist()


def test_files_that_do_not_fit_are_named_and_the_others_are_labelled(tmp_path: Path, model: Model) -> None:
    np.save(tmp_path / "long.npy", windows(300))
    np.save(tmp_path / "units.npy", windows() * 9.80665)
    np.save(tmp_path / "good.npy", windows())
    files = [tmp_path / f"{name}.npy" for name in ("long", "units", "good", "missing")]
    long, units, good, missing = predict_arrays(files, model, Options(tmp_path / "out"))
    assert "the windows have shape (6, 300, 3)" in (long.error or "")
    assert "units.npy cannot be in g" in (units.error or "")
    assert "missing.npy is missing" in (missing.error or "")
    assert good.windows == 6


def test_existing_tables_are_replaced_only_when_asked(tmp_path: Path, model: Model) -> None:
    np.save(tmp_path / "a.npy", windows())
    (tmp_path / "a.csv").write_text("notes")
    with pytest.raises(DataError, match=r"a\.csv exists already"):
        predict_arrays([tmp_path / "a.npy"], model, Options(tmp_path))
    predict_arrays([tmp_path / "a.npy"], model, Options(tmp_path, overwrite=True))
    assert len(pd.read_csv(tmp_path / "a.csv")) == 6


def test_two_files_of_one_name_and_smoothing_are_refused(tmp_path: Path, model: Model) -> None:
    files = [tmp_path / "a" / "X.npy", tmp_path / "b" / "X.npy"]
    with pytest.raises(DataError, match="would both write"):
        predict_arrays(files, model, Options(tmp_path))
    with pytest.raises(SettingsError, match="--smooth needs recordings"):
        predict_arrays(files[:1], model, Options(tmp_path, bout_s=60))


@pytest.mark.parametrize(("name", "expected"), [("X.npy", True), ("x.NPY", True), ("a.csv", False), ("npy", False)])
def test_arrays_are_known_by_their_ending(name: str, expected: bool) -> None:
    assert is_array(Path(name)) is expected


def test_a_recording_of_the_same_name_is_not_touched(tmp_path: Path, model: Model) -> None:
    np.save(tmp_path / "S01.npy", windows())
    recording = tmp_path / "S01.parquet"
    recording.write_text("samples")
    with pytest.raises(DataError, match=r"S01\.parquet exists already"):
        predict_arrays([tmp_path / "S01.npy"], model, Options(tmp_path))
    for out in (tmp_path, tmp_path / "out"):
        with pytest.raises(DataError, match=r"S01\.parquet and .*S01\.npy would both write .*S01\.csv"):
            predict_arrays([tmp_path / "S01.npy"], model, Options(out, overwrite=True), [recording])
    assert recording.read_text() == "samples"
