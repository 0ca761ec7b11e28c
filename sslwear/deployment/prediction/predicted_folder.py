"""Reading of what ``sslwear predict`` has written: the days and the windows of each recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.files.clock import Clock
from sslwear.data.sources.raw import natural
from sslwear.data.tables.labelled_minutes import WIDE
from sslwear.deployment.prediction import record as prediction_record
from sslwear.deployment.prediction.files import ENDINGS, FORMATS, RECORD
from sslwear.errors import DataError
from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.daily import NONWEAR
from sslwear.evaluation.day_table import day_table
from sslwear.evaluation.minute_table import MinuteTable, joined
from sslwear.utils.csv_cells import original_cell
from sslwear.utils.masking import one_line

DAYS = ".days.csv"
OFFSET = r"[+-]\d\d:\d\d$"
NEAR_S = 0.1
"""Largest error of a window's length by the minutes of a table, which are rounded to 0.001; gaps are longer."""


@dataclass(frozen=True)
class PredictedWindows:
    """Windows of a recording with a predicted class.

    Attributes:
        start: instant of each window's start (N,), datetime64[ns], increasing; local time where the clock is not known.
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
        days: the days that have windows (D,), datetime64[D].
        minutes: minutes of each class on each day (D, classes).
        window_minutes: minutes of all windows, non-wear included.
        clock: clock of the recording; None in folders of earlier versions.
        span: start and end of the recording in nanoseconds since 1970, as instants; None with the clock.
        participant: participant that a table of `sslwear predict` declared; None if none did.
        made_by: model, options and version of sslwear of its labels; None if they are not known.
    """

    name: str
    folder: Path
    class_names: tuple[str, ...]
    days: NDArray[np.datetime64]
    minutes: NDArray[np.float64]
    window_minutes: float
    clock: Clock | None = None
    span: tuple[int, int] | None = None
    participant: str | None = None
    made_by: Mapping[str, Any] | None = None

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
            times = _local_times(table["time"]) if self.clock is None else _instants(table["time"])
            start = times.to_numpy("datetime64[ns]")
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

    def minute_table(self) -> MinuteTable:
        """Read the minutes of a recording whose clock is known.

        Raises:
            DataError: when they are missing, or are none of ``sslwear predict``.
        """
        assert self.clock is not None
        assert self.span is not None
        path = self.folder / f"{self.name}{ENDINGS['minutes']}"
        try:
            return MinuteTable.from_table(pd.read_parquet(path), self.class_names, self.clock.zone, self.span)
        except (OSError, ValueError, KeyError) as error:
            raise _unknown(path, error) from error

    def _length(self, start: NDArray[np.datetime64]) -> float:
        """Length of a window in seconds: the usual distance of adjacent windows, or by the minutes if none are."""
        by_minutes = 60 * self.window_minutes / max(1, len(start))
        steps = np.diff(np.sort(start)) / np.timedelta64(1, "ns") / 1e9
        steps, counts = np.unique(steps[np.abs(steps - by_minutes) < NEAR_S], return_counts=True)
        return float(steps[counts.argmax()]) if len(steps) else by_minutes


def overlapping(recordings: Sequence[PredictedRecording]) -> bool:
    """Whether two recordings of a person cover the same time; False where clocks are not known or not alike."""
    spans = sorted(one.span for one in recordings if one.span is not None)
    alike = len({one.clock.zone for one in recordings if one.clock is not None}) == 1
    return alike and len(spans) == len(recordings) and any(one[1] > other[0] for one, other in pairwise(spans))


def minutes_by_day(recordings: Sequence[PredictedRecording]) -> Iterator[tuple[np.datetime64, NDArray[np.float64]]]:
    """Days of a person's recordings with the minutes of each class (classes,); a day may occur more than once.

    Time that two recordings cover counts once, as in the table of people.
    """
    if overlapping(recordings):
        table = day_table(joined([one.minute_table() for one in recordings]), CountingRule())
        table = table[table["wear_minutes"] + table[NONWEAR] > 0]
        minutes = table[[f"{WIDE}{name}" for name in recordings[0].class_names]].to_numpy(float)
        yield from zip(table["day"].to_numpy("datetime64[D]"), minutes, strict=True)
        return
    for one in recordings:
        yield from zip(one.days, one.minutes, strict=True)


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
        in_windows = minutes.sum(axis=1) + table[NONWEAR].to_numpy(float)
        total = float(in_windows.sum())
    except (OSError, ValueError, KeyError) as error:
        raise _unknown(path, error) from error
    if not classes or not np.isfinite(total):
        raise DataError(f"{path} has no minutes of classes. Label the recording again")
    some = in_windows > 0  # other days are in a gap
    found = PredictedRecording(name, folder, classes, days[some], minutes[some], total)
    known = prediction_record.read(folder / f"{name}{RECORD}")
    if known is None or known[1] is None:
        return found
    made_by = prediction_record.made_by(known[0])
    found = replace(found, participant=known[1].get("participant"), made_by=made_by)
    if known[1].get("clock") is None:
        return found
    first, last = known[1]["span"]
    return replace(found, clock=Clock(**known[1]["clock"]), span=(first, last))


def _local_times(times: pd.Series[Any]) -> pd.Series[Any]:
    """Times by the clock on the wall; those that were written in a time zone have an offset from UTC."""
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        local: pd.Series[Any] = times.dt.tz_localize(None)
        return local
    if pd.api.types.is_datetime64_any_dtype(times):
        return times
    return pd.to_datetime(times.str.replace(OFFSET, "", regex=True))


def _instants(times: pd.Series[Any]) -> pd.Series[Any]:
    """Instants; times without a time zone take their place."""
    found: pd.Series[Any] = pd.to_datetime(times, utc=True, format="ISO8601").dt.tz_localize(None)
    return found


def _check_classes(folder: Path, found: Sequence[PredictedRecording]) -> None:
    for one in found[1:]:
        if one.class_names != found[0].class_names:
            raise DataError(
                f"{folder} has recordings with different classes, such as {found[0].name} and {one.name}. "
                "Give a folder with predictions of one model"
            )


def _unknown(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is not a table of sslwear predict ({one_line(error)}). Label the recording again")
