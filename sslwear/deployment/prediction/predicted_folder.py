"""Reading of what ``sslwear predict`` has written: the days and the windows of each recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.sources.raw import natural
from sslwear.data.tables.labelled_minutes import WIDE
from sslwear.deployment.prediction.files import FORMATS
from sslwear.errors import DataError
from sslwear.evaluation.daily import NONWEAR
from sslwear.utils.csv_cells import original_cell
from sslwear.utils.masking import one_line

DAYS = ".days.csv"
OFFSET = r"[+-]\d\d:\d\d$"


@dataclass(frozen=True)
class PredictedWindows:
    """Windows of a recording with a predicted class.

    Attributes:
        start: start of each window (N,), datetime64[ns], by the device's clock or in local time, increasing.
        length_s: length of a window in seconds.
        codes: index of each window's class (N,); -1 for non-wear.
    """

    start: NDArray[np.datetime64]
    length_s: float
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class PredictedRecording:
    """A recording in a folder of predictions.

    Attributes:
        name: name of the recording.
        folder: the folder.
        class_names: names of the classes.
        days: the days (D,), datetime64[D].
        minutes: minutes of each class on each day (D, classes).
        window_minutes: minutes of all windows, non-wear included.
    """

    name: str
    folder: Path
    class_names: tuple[str, ...]
    days: NDArray[np.datetime64]
    minutes: NDArray[np.float64]
    window_minutes: float

    @property
    def file(self) -> Path:
        """Table of the windows.

        Raises:
            DataError: when there is none.
        """
        for ending in FORMATS:
            if (path := self.folder / f"{self.name}.{ending}").is_file():
                return path
        raise DataError(f"{self.folder / self.name}.csv, the table of windows, is missing. Label the recording again")

    def windows(self) -> PredictedWindows:
        """Read the table of the windows.

        Raises:
            DataError: when it is missing, or is none of ``sslwear predict``.
        """
        path = self.file
        try:
            if path.suffix == ".parquet":
                table = pd.read_parquet(path, columns=["time", "label"])
            else:
                table = pd.read_csv(path, usecols=["time", "label"], dtype=str, keep_default_na=False)
            start = _local_times(table["time"]).to_numpy("datetime64[ns]")
        except (OSError, ValueError, KeyError) as error:
            raise _unknown(path, error) from error
        labels = table["label"] if path.suffix == ".parquet" else table["label"].map(original_cell)
        codes = pd.Index([*self.class_names, ""]).get_indexer(pd.Index(labels))
        if (codes < 0).any():
            wrong = table["label"].iloc[int((codes < 0).argmax())]
            raise DataError(f"{path} has the label {wrong!r}, which {self.name}{DAYS} lacks. Label the recording again")
        codes[codes == len(self.class_names)] = -1
        order = np.argsort(start, kind="stable")
        return PredictedWindows(start[order], self._length(start), codes[order].astype(np.int64))

    def _length(self, start: NDArray[np.datetime64]) -> float:
        """Length of a window in seconds: the most frequent distance, because windows are adjacent except at gaps."""
        if len(start) > 2:
            steps, counts = np.unique(np.diff(np.sort(start)), return_counts=True)
            return float(steps[counts.argmax()] / np.timedelta64(1, "ns")) / 1e9
        return 60 * self.window_minutes / max(1, len(start))


def read_predictions(folder: Path) -> list[PredictedRecording]:
    """Recordings in a folder of ``sslwear predict``, in the natural order of their names.

    Raises:
        DataError: when there are none, a table cannot be read, or the recordings have different classes.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}. Give the --out folder of sslwear predict")
    names = sorted((path.name.removesuffix(DAYS) for path in folder.glob(f"*{DAYS}")), key=natural)
    if not names:
        raise DataError(
            f"{folder} has no predictions (files such as NAME{DAYS}). Give the --out folder of sslwear predict"
        )
    found = [_recording(folder, name) for name in names]
    _check_classes(folder, found)
    return found


def _recording(folder: Path, name: str) -> PredictedRecording:
    path = folder / f"{name}{DAYS}"
    try:
        table = pd.read_csv(path)
        days = pd.to_datetime(table["day"]).to_numpy("datetime64[D]")
        columns = [column for column in table.columns if column.startswith(WIDE)]
        classes = tuple(column.removeprefix(WIDE) for column in columns)
        minutes = table[columns].to_numpy(float)
        total = float(minutes.sum() + table[NONWEAR].astype(float).sum())
    except (OSError, ValueError, KeyError) as error:
        raise _unknown(path, error) from error
    if not classes or not np.isfinite(total):
        raise DataError(f"{path} has no minutes of classes. Label the recording again")
    return PredictedRecording(name, folder, classes, days, minutes, total)


def _local_times(times: pd.Series[Any]) -> pd.Series[Any]:
    """Times by the clock on the wall; those that were written in a time zone have an offset from UTC."""
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        local: pd.Series[Any] = times.dt.tz_localize(None)
        return local
    if pd.api.types.is_datetime64_any_dtype(times):
        return times
    return pd.to_datetime(times.str.replace(OFFSET, "", regex=True))


def _check_classes(folder: Path, found: Sequence[PredictedRecording]) -> None:
    for one in found[1:]:
        if one.class_names != found[0].class_names:
            raise DataError(
                f"{folder} has recordings with different classes, such as {found[0].name} and {one.name}. "
                "Give a folder with predictions of one model"
            )


def _unknown(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is not a table of sslwear predict ({one_line(error)}). Label the recording again")
