"""RealWorld (HAR): activities outdoors and on stairs, from the accelerometer on the forearm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pandas as pd

from sslwear.data.sources.base import STANDARD_GRAVITY, Archive, Recording, Source
from sslwear.data.sources.raw import Raw
from sslwear.errors import DataError

RATE_HZ = 50.0
ACTIVITIES = ("climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking")
TABLE = rf"acc_({'|'.join(ACTIVITIES)})(?:_\d+)?_forearm(?:_\d+)?\.csv"
PLACE = r"proband(\d+)(?:\.zip)?/(?:[^/]+/)*"
PACKED = rf"{PLACE}acc_(?:{'|'.join(ACTIVITIES)})(?:_\d+)?_csv\.zip"
UNPACKED = PLACE + TABLE


class RealWorld(Source):
    """8 activities of 15 people at about 50 Hz, with the times of the phone's and the watch's clock."""

    name = "realworld"
    title = "RealWorld (HAR) 2016"
    licence = "free for research; cite the authors"
    citation = (
        "Sztyler T, Stuckenschmidt H. On-body localization of wearable devices: an investigation of position-aware "
        "activity recognition. IEEE PerCom 2016"
    )
    homepage = "https://www.uni-mannheim.de/dws/research/projects/activity-recognition/dataset/dataset-realworld/"
    archives = (
        Archive(
            "https://wifo5-14.informatik.uni-mannheim.de/sensor/dataset/realworld2016/realworld2016_dataset.zip",
            None,
            "3.5 GB",
        ),
    )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The activities."""
        return ACTIVITIES

    def participants(self) -> Sequence[int]:
        """Numbers of the subjects."""
        found = sorted({int(match[1]) for _, match in (*self._packed(), *self._unpacked())})
        if not found:
            raise self.missing("proband1/data/acc_ACTIVITY_csv.zip")
        return found

    def files(self, participant: int | str) -> Sequence[str]:
        """The files of a subject's activities, in zip files or not."""
        found = (*self._unpacked(), *self._packed())
        return [name for name, match in found if int(match[1]) == participant]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a subject's activities, from zip files within the archive or from unpacked files."""
        seen = set()
        for name, match in self._unpacked():
            if int(match[1]) == participant:
                seen.add(name.rsplit("/", 1)[-1])
                yield self._recording(self.raw, name, int(match[1]), match[2])
        for packed, match in self._packed():
            if int(match[1]) != participant:
                continue
            with self.raw.inside(packed) as inner:
                for name, table in inner.find(TABLE):
                    # zip files of parts may be within that of the activity, and unpacked beside it
                    file = "/".join(f"{packed}/{name}".rsplit("/", 2)[-2:])
                    if seen.isdisjoint({file, name.rsplit("/", 1)[-1]}):
                        seen.add(file)
                        yield self._recording(inner, name, int(match[1]), table[1], f"{self.raw.path}: {packed}")

    def _packed(self) -> list[tuple[str, re.Match[str]]]:
        return _once(self.raw.find(PACKED))

    def _unpacked(self) -> list[tuple[str, re.Match[str]]]:
        return _once(self.raw.find(UNPACKED, outside_only=True))

    def _recording(self, raw: Raw, name: str, participant: int, activity: str, place: str = "") -> Recording:
        with raw.open(name) as file:
            table = self._table(file, f"{place or raw.path}: {name}")
        milliseconds = table["attr_time"].to_numpy(np.int64)
        start = int(milliseconds[0]) if len(milliseconds) else 0
        return Recording(
            participant,
            table[["attr_x", "attr_y", "attr_z"]].to_numpy(np.float64) / STANDARD_GRAVITY,
            RATE_HZ,
            activity,
            (milliseconds - start) / 1000,
            np.datetime64(start, "ms"),
        )

    def _table(self, file: IO[bytes], name: str) -> pd.DataFrame:
        """Columns id, attr_time in ms since 1970, attr_x, attr_y, attr_z in m/s^2; incomplete lines are left out."""
        columns = ["attr_time", "attr_x", "attr_y", "attr_z"]
        try:
            return pd.read_csv(file, usecols=columns, dtype=np.float64).dropna()
        except pd.errors.EmptyDataError:
            return pd.DataFrame(np.empty((0, 4)), columns=columns)
        except (ValueError, pd.errors.ParserError) as error:
            raise DataError(
                f"{name} does not hold the columns id, attr_time, attr_x, attr_y, attr_z; download it again"
            ) from error


def _once(found: list[tuple[str, re.Match[str]]]) -> list[tuple[str, re.Match[str]]]:
    """Files and their matches; a subject's file in two folders counts once."""
    return list({(match[1], name.rsplit("/", 1)[-1]): (name, match) for name, match in found}.values())
