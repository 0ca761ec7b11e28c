"""Prediction of one recording: labels and probabilities of its windows, read and computed piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import Clock
from sslwear.data.files.device_reader import DeviceRecording, open_recording
from sslwear.data.files.quality import Quality
from sslwear.data.files.recording_format import Reading
from sslwear.encoders.card import Card
from sslwear.encoders.classifier import BATCH, Model
from sslwear.encoders.distribution_shift import distribution_shift_warning, statistics
from sslwear.errors import DataError
from sslwear.evaluation.daily import LabelledRecording
from sslwear.evaluation.smoothing import HiddenMarkovModel, smooth

READING = 0.2
"""Approximate share of the time for a recording that reading it takes, for the progress bar."""
GAP_S = 1e-3
"""Windows further apart than this are not adjacent, in seconds."""
PredictionProgress = Callable[[str, float], None]
"""Callback with the name of a recording and the share of it that is done."""


@dataclass(frozen=True)
class Labelled:
    """A labelled recording.

    Attributes:
        windows: the windows with their classes.
        table: one row for each window: ``time``, ``worn``, ``label``, with smoothing ``unsmoothed_label``, the most
            probable class, and ``p_CLASS`` of each class; labels and probabilities are empty where not worn.
        quality: quality of the recording.
        note: one line about how the file was read and what of it was cut.
        warning: warning about distribution shift, or None.
        clock: what the times of the file are.
    """

    windows: LabelledRecording
    table: pd.DataFrame
    quality: Quality
    note: str
    warning: str | None
    clock: Clock


def label(
    name: str,
    file: Path,
    place: Path,
    model: Model,
    smoothing: HiddenMarkovModel | None = None,
    reading: Reading | None = None,
    progress: PredictionProgress | None = None,
) -> Labelled:
    """Label the adjacent windows of a recording.

    Args:
        name: name of the recording.
        file: its file.
        place: a folder on a disk with room for its samples, 24 bytes each.
        model: the model.
        smoothing: hidden Markov model of adjacent windows; None for no smoothing.
        reading: how the file is read.
        progress: callback with the share that is done.

    Raises:
        DataError: when the file cannot be read, its rate is too low, or it is shorter than a window.
    """
    card = model.card
    with open_recording(file, place, reading) as recording:
        p, start, worn, enmo, found = _compute(name, recording, model, progress)
    if len(start) == 0:
        raise DataError(
            f"{file} has no stretch without a gap that is as long as a window, {card.window_s:g} s",
            reason="shorter than a window",
        )
    codes = np.full(len(start), -1)
    codes[worn] = _classes(p, start[worn], card, smoothing)
    labelled = _on_clock(name, recording, card, start, codes, enmo.astype(np.float32))
    note = "; ".join([recording.note, *map(str, recording.axis.cuts)])
    table = _table(labelled, worn, p, smoothing is not None)
    warning = distribution_shift_warning(card, found)
    return Labelled(labelled, table, recording.quality, note, warning, recording.clock)


def _compute(
    name: str, recording: DeviceRecording, model: Model, progress: PredictionProgress | None
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float32], NDArray[np.float64]]:
    """Read the adjacent windows of a recording and compute their probabilities.

    Returns:
        Probabilities of worn windows (worn, classes); starts (N,) in seconds from the first sample; whether worn (N,);
        ENMO (N,) in mg; and statistics of worn windows, as `statistics` gives them.
    """
    card, network = model.card, _Batches(model)
    parts: dict[str, list[NDArray[Any]]] = {key: [] for key in ("start", "worn", "enmo", "statistics")}
    for windows in recording.windows(card.rate_hz, card.window_s, card.window_s, needed_hz=card.recorded_hz):
        parts["start"].append(windows.start)
        parts["worn"].append(windows.worn)
        length = np.linalg.norm(windows.samples, axis=2)
        parts["enmo"].append(1000 * np.maximum(length - 1, 0).mean(axis=1))
        known = windows.samples[windows.worn]
        network.add(known)
        parts["statistics"].append(statistics(known))
        if progress is not None and len(windows):
            share = windows.start[-1] / max(recording.seconds, windows.start[-1] + 1)
            progress(name, READING + (1 - READING) * float(share))
    start, worn, enmo, found = (np.concatenate(parts[key]) for key in ("start", "worn", "enmo", "statistics"))
    return network.finish(), start, worn, enmo, found


def _on_clock(
    name: str,
    recording: DeviceRecording,
    card: Card,
    start: NDArray[np.float64],
    codes: NDArray[np.int64],
    enmo: NDArray[np.float32],
) -> LabelledRecording:
    """Windows whose starts (N,) in seconds from the first sample become instants."""
    clock, begin = recording.clock, recording.start.astype("datetime64[ns]").astype(np.int64)
    end = recording.end.astype("datetime64[ns]").astype(np.int64)
    when = clock.instants(begin + np.rint(start * 1e9).astype(np.int64))
    first, last = (np.datetime64(int(one), "ns") for one in clock.instants(np.array([begin, end])))
    return LabelledRecording(
        name, card.class_names, when.view("datetime64[ns]"), card.window_s, codes, enmo, first, last, clock.zone
    )


class _Batches:
    """Probabilities of windows that arrive in pieces, computed in batches of one size.

    The libraries below PyTorch keep memory for each size of a batch.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting = np.empty((0, model.card.window_samples, 3), np.float32)
        self._found = [np.empty((0, len(model.card.class_names)), np.float32)]

    def add(self, windows: NDArray[np.float32]) -> None:
        """Add windows (N, samples, 3) in g."""
        windows = np.concatenate([self._waiting, windows])
        whole = len(windows) // BATCH * BATCH
        self._found.append(self._model.probabilities(windows[:whole]))
        self._waiting = windows[whole:].copy()

    def finish(self) -> NDArray[np.float32]:
        """The probabilities of all windows (N, classes)."""
        self._found.append(self._model.probabilities(self._waiting))
        return np.concatenate(self._found)


def _classes(
    p: NDArray[np.float32], start: NDArray[np.float64], card: Card, smoothing: HiddenMarkovModel | None
) -> NDArray[np.int64]:
    """Class indices of worn windows (N,); smoothing starts anew after a gap or non-wear."""
    if smoothing is None:
        likeliest: NDArray[np.int64] = p.argmax(axis=1)
        return likeliest
    begins = np.diff(start, prepend=-np.inf) > card.window_s + GAP_S
    return smooth(p, smoothing, begins)


def _table(found: LabelledRecording, worn: NDArray[np.bool_], p: NDArray[np.float32], smoothed: bool) -> pd.DataFrame:
    names = np.array([*found.class_names, ""], dtype=object)
    whole = np.full((len(worn), p.shape[1]), np.nan, np.float32)
    whole[worn] = p
    likeliest = np.full(len(worn), -1)
    likeliest[worn] = p.argmax(axis=1)
    time = pd.DatetimeIndex(found.start.astype("datetime64[ms]"))
    columns: Mapping[str, Any] = {
        "time": time if found.zone is None else time.tz_localize("UTC").tz_convert(found.zone),
        "worn": worn,
        "label": names[found.codes],
        **({"unsmoothed_label": names[likeliest]} if smoothed else {}),
        **{f"p_{name}": whole[:, i] for i, name in enumerate(found.class_names)},
    }
    return pd.DataFrame(columns)
