"""Prediction of windows in ``.npy`` files, with one row for each window."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sslwear.data.arrays import WORN, chunks, describe
from sslwear.data.checks import participants_of, starts_of, worn_of
from sslwear.data.dataset import JUDGED_WINDOWS, load_array
from sslwear.data.devices import recordings_by_name
from sslwear.data.gravity import check_gravity, rest_statistics
from sslwear.data.window_length import described_length_s, length_from_starts_s
from sslwear.deployment.prediction.files import Options, Outcome
from sslwear.encoders.card import Card
from sslwear.encoders.classifier import Model, table
from sslwear.encoders.distribution_shift import distribution_shift_warning, statistics
from sslwear.errors import DataError, SettingsError
from sslwear.utils.csv_cells import write_csv

ENDING = ".npy"
TOLERANCE = 0.02
"""Relative difference from the model's window length that rounded start times explain."""


def is_array(file: Path) -> bool:
    """Whether a file holds windows, by its ending and its shape; a recording is a table of samples."""
    if file.suffix.lower() != ENDING:
        return False
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return True  # reading it again gives the message
    return array.ndim != 2 and array.dtype.names is None


def predict_arrays(
    files: Sequence[Path], model: Model, options: Options, recordings: Sequence[Path] = ()
) -> list[Outcome]:
    """Label the windows of ``.npy`` files, and write a table for each.

    Args:
        files: each has windows (N, samples, 3) or (N, 3, samples) in g. ``pid.npy``, ``T.npy``,
            ``worn.npy`` and ``dataset.json`` beside a file ``X.npy`` are read too.
        model: the classifier.
        options: options of the prediction.
        recordings: the recordings that the same command labels, which may not have the same names.

    Returns:
        The outcomes; a file with an error is reported, and the others are labelled.

    Raises:
        SettingsError: with smoothing, which needs recordings.
        DataError: when two tables would have the same name, a table exists, or the folder is not writable.
    """
    if options.bout_s is not None:
        raise SettingsError("--smooth needs recordings, whose windows are adjacent. Leave it out for .npy files")
    tables: dict[Path, Path] = {}
    taken = {options.outputs(name)["windows"]: file for name, file in recordings_by_name(recordings).items()}
    for file in files:
        out = options.outputs(file.stem)["windows"]
        if out in taken:
            raise DataError(f"{taken[out]} and {file} would both write {out}. Give them different --out folders")
        for path in (out, *options.stale(file.stem)):
            if path.exists() and not options.overwrite:
                raise DataError(f"{path} exists already. Give another --out, or replace it with --overwrite")
        taken[out] = tables[out] = file
    placed = Model(model.network, model.card, torch.device(options.device), options.precision)
    return [_predict_one(file, out, placed, options) for out, file in tables.items()]


def _predict_one(file: Path, out: Path, model: Model, options: Options) -> Outcome:
    try:
        found, note, warning = label_array(file, model)
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
    return Outcome(file.stem, len(found), note=note, warning=warning)


def label_array(file: Path, model: Model) -> tuple[pd.DataFrame, str, str | None]:
    """Label the windows of a file.

    Args:
        file: windows (N, samples, 3) or (N, 3, samples) in g, see `predict_arrays`.
        model: the classifier.

    Returns:
        A table with ``participant``, ``time`` and ``worn`` where they are known, ``label``, and ``p_CLASS`` of each
        class, which are empty where the device was not worn; one line about the length of the windows; and a warning
        about distribution shift, or None.

    Raises:
        DataError: when a file cannot be read, or the windows do not fit the model.
    """
    windows = load_array(file)
    if windows.ndim != 3:
        model.check(windows)  # refuses them
    columns = _columns(file, windows) if file.name == "X.npy" else {}
    worn = columns.get("worn", np.ones(len(windows), bool))
    ordered = windows if windows.shape[1] in model.card.lengths else windows.transpose(0, 2, 1)
    note = _check_length(file, ordered, columns, model.card)
    found = [table(np.empty((0, len(model.card.class_names)), np.float32), model.card.class_names)]
    seen = [np.empty((0, 5))]
    for first, chunk in chunks(windows):
        known = worn[first : first + len(chunk)]
        chunk[~known] = 3**-0.5  # 1 g, which the checks accept
        checked = model.check(chunk, file, first)
        labelled = table(model.probabilities(checked), model.card.class_names)
        labelled.loc[~known, "label"] = ""
        labelled.loc[~known, labelled.columns[1:]] = np.nan
        found.append(labelled)
        seen.append(statistics(checked[known]))
    _check_participants(file, ordered, columns, worn)
    whole = pd.concat(found[1:] or found, ignore_index=True)
    for position, (name, values) in enumerate(columns.items()):
        whole.insert(position, name, values)
    return whole, note, distribution_shift_warning(model.card, np.concatenate(seen))


def _columns(file: Path, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Participants, start times and whether worn of windows, from the files beside them.

    Raises:
        DataError: when these files do not fit the windows.
    """
    found = {}
    for column, name, check in (
        ("participant", "pid", participants_of),
        ("time", "T", starts_of),
        ("worn", WORN, worn_of),
    ):
        path = file.parent / f"{name}.npy"
        if path.is_file():
            values = load_array(path)
            if values.shape != windows.shape[:1]:
                raise DataError(
                    f"{path} has shape {values.shape}, but {file} has {len(windows)} windows; make them equal"
                )
            found[column] = check(path, values)
    return found


def _check_length(file: Path, windows: np.ndarray, columns: Mapping[str, np.ndarray], card: Card) -> str:
    """One line about the length of the windows (N, samples, 3).

    Raises:
        DataError: when they have another length in seconds than the model's.
    """
    folder, samples = file.parent, windows.shape[1]
    if samples not in card.lengths:
        return ""  # the model refuses them
    seconds = described_length_s(folder, describe(folder), samples) if file.name == "X.npy" else None
    if seconds is None and "time" in columns:
        pid = columns.get("participant", np.zeros(len(windows), int))
        seconds = length_from_starts_s(windows, pid, columns["time"])
    if seconds is None:
        return f"taken as windows of {card.window_s:g} s at {samples / card.window_s:g} Hz"
    if abs(seconds / card.window_s - 1) > TOLERANCE:
        raise DataError(
            f"{file} has windows of {seconds:g} s, but this model takes {card.window_s:g} s; cut the recordings into "
            f"windows of {card.window_s:g} s"
        )
    return f"windows of {card.window_s:g} s"


def _check_participants(file: Path, windows: np.ndarray, columns: Mapping[str, np.ndarray], worn: np.ndarray) -> None:
    """Refuse windows (N, samples, 3) of a participant whose acceleration is not in g or lacks gravity.

    Raises:
        DataError: with the participant.
    """
    pid = columns.get("participant", np.zeros(len(windows), int))
    for participant in np.unique(pid[worn]).tolist():
        mine = np.flatnonzero((pid == participant) & worn)
        some = windows[mine[:: 1 + len(mine) // JUDGED_WINDOWS]]
        owner = f" of participant {participant}" if "participant" in columns else ""
        check_gravity(file, rest_statistics(some), owner)
