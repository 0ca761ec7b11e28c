"""Prediction of windows in ``.npy`` files, with one row for each window."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sslwear.data.arrays import chunks, describe
from sslwear.data.checks import participants_of, starts_of
from sslwear.data.dataset import load_array
from sslwear.data.window_length import described_length_s, length_from_starts_s
from sslwear.deployment.batch_prediction import Options, Outcome
from sslwear.encoders.classifier import Model, table
from sslwear.encoders.distribution_shift import distribution_shift_warning, statistics
from sslwear.errors import DataError, SettingsError
from sslwear.utils.csv_cells import write_csv

ENDING = ".npy"
TOLERANCE = 0.02
"""Relative difference from the model's window length that rounded start times explain."""


def is_array(file: Path) -> bool:
    """Whether a file holds windows, by its ending."""
    return file.suffix.lower() == ENDING


def predict_arrays(files: Sequence[Path], model: Model, options: Options) -> list[Outcome]:
    """Label the windows of ``.npy`` files, and write a table for each.

    Args:
        files: each has windows (N, samples, 3) or (N, 3, samples) in g. ``pid.npy``, ``T.npy`` and ``dataset.json``
            beside a file ``X.npy`` are read too.
        model: the classifier.
        options: options of the prediction.

    Returns:
        The outcomes; a file with an error is reported, and the others are labelled.

    Raises:
        SettingsError: with smoothing, which needs recordings.
        DataError: when two tables would have the same name, a table exists, or the folder is not writable.
    """
    if options.bout_s is not None:
        raise SettingsError("--smooth needs recordings, whose windows are adjacent. Leave it out for .npy files")
    tables: dict[Path, Path] = {}
    for file in files:
        out = options.outputs(file.stem)["windows"]
        if out in tables:
            raise DataError(f"{tables[out]} and {file} would both write {out}. Give them different --out folders")
        if out.exists() and not options.overwrite:
            raise DataError(f"{out} exists already. Give another --out, or replace it with --overwrite")
        tables[out] = file
    placed = Model(model.network, model.card, torch.device(options.device), options.precision)
    return [_predict_one(file, out, placed, options) for out, file in tables.items()]


def _predict_one(file: Path, out: Path, model: Model, options: Options) -> Outcome:
    try:
        found, warning = label_array(file, model)
    except DataError as error:
        return Outcome(file.stem, error=str(error))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as folder:
            made = Path(folder) / out.name
            if options.format == "parquet":
                found.to_parquet(made, index=False)
            else:
                write_csv(found, made, "%.4f")
            for path in options.stale(file.stem):
                path.unlink(missing_ok=True)
            made.replace(out)
    except OSError as error:
        raise DataError(f"cannot write {out} ({error.strerror}). Give another --out") from error
    return Outcome(file.stem, len(found), note=f"windows of {model.card.window_s:g} s", warning=warning)


def label_array(file: Path, model: Model) -> tuple[pd.DataFrame, str | None]:
    """Label the windows of a file.

    Args:
        file: windows (N, samples, 3) or (N, 3, samples) in g, see `predict_arrays`.
        model: the classifier.

    Returns:
        A table with ``participant`` and ``time`` where they are known, ``label``, and ``p_CLASS`` of each class; and a
        warning about distribution shift, or None.

    Raises:
        DataError: when a file cannot be read, or the windows do not fit the model.
    """
    windows = load_array(file)
    columns = _columns(file, windows, model) if file.name == "X.npy" else {}
    found = [table(np.empty((0, len(model.card.class_names)), np.float32), model.card.class_names)]
    seen = [np.empty((0, 5))]
    for first, chunk in chunks(windows):
        checked = model.check(chunk, file, first)
        found.append(table(model.probabilities(checked), model.card.class_names))
        seen.append(statistics(checked))
    whole = pd.concat(found[1:] or found, ignore_index=True)
    for position, (name, values) in enumerate(columns.items()):
        whole.insert(position, name, values)
    return whole, distribution_shift_warning(model.card, np.concatenate(seen))


def _columns(file: Path, windows: np.ndarray, model: Model) -> dict[str, np.ndarray]:
    """Participants and start times of windows, from the files beside them.

    Raises:
        DataError: when these files do not fit the windows, or the windows have another length than the model's.
    """
    folder, card, found = file.parent, model.card, {}
    for column, name, check in (("participant", "pid", participants_of), ("time", "T", starts_of)):
        path = folder / f"{name}.npy"
        if path.is_file():
            values = load_array(path)
            if values.shape != windows.shape[:1]:
                raise DataError(
                    f"{path} has shape {values.shape}, but {file} has {len(windows)} windows; make them equal"
                )
            found[column] = check(path, values)
    samples = next((length for length in card.lengths if length in windows.shape[1:]), 0)
    seconds = described_length_s(folder, describe(folder), samples) if samples else None
    if seconds is None and samples and windows.shape[1] == samples and len(found) == 2:
        seconds = length_from_starts_s(windows, found["participant"], found["time"])
    if seconds is not None and abs(seconds / card.window_s - 1) > TOLERANCE:
        raise DataError(
            f"{file} has windows of {seconds:g} s, but this model takes {card.window_s:g} s; cut the recordings into "
            f"windows of {card.window_s:g} s"
        )
    return found
