"""WISDM: activities of daily living with a smart-watch on the dominant wrist."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from sslwear.data.sources.base import STANDARD_GRAVITY, Archive, Recording, Source

RATE_HZ = 20.0
FILE = r"(?:watch/)?(?:accel/)?data_(\d+)_accel_watch\.txt"
ACTIVITIES = {
    "A": "walking",
    "B": "jogging",
    "C": "stairs",
    "D": "sitting",
    "E": "standing",
    "F": "typing",
    "G": "brushing teeth",
    "H": "eating soup",
    "I": "eating chips",
    "J": "eating pasta",
    "K": "drinking",
    "L": "eating sandwich",
    "M": "kicking",
    "O": "playing catch",
    "P": "dribbling",
    "Q": "writing",
    "R": "clapping",
    "S": "folding clothes",
}
"""Activities by the letters in the published activity_key.txt."""


class Wisdm(Source):
    """18 activities of 51 people, 3 minutes each, at 20 Hz; only the watch's accelerometer is read."""

    name = "wisdm"
    title = "WISDM Smartphone and Smartwatch Activity and Biometrics Dataset"
    licence = "CC BY 4.0"
    citation = (
        "Weiss GM, Yoneda K, Hayajneh T. Smartphone and smartwatch-based biometrics using activities of daily living. "
        "IEEE Access 2019, 7:133190"
    )
    homepage = "https://archive.ics.uci.edu/dataset/507/wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset"
    archives = (
        Archive(
            "https://archive.ics.uci.edu/static/public/507/"
            "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip",
            None,
            "295 MB",
        ),
    )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The activities, in the order of their letters."""
        return tuple(ACTIVITIES.values())

    def participants(self) -> Sequence[int]:
        """The subjects' numbers."""
        subjects = sorted(self._files())
        if not subjects:
            raise self.missing("raw/watch/accel/data_SUBJECT_accel_watch.txt")
        return subjects

    def _files(self) -> dict[int, str]:
        """Names of the files by subject; a file in two folders counts once."""
        return {int(match[1]): name for name, match in self.raw.find(FILE)}

    def files(self, participant: int | str) -> Sequence[str]:
        """A subject's file."""
        return [name for subject, name in self._files().items() if subject == participant]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a subject's activities, one recording for each uninterrupted activity."""
        for name in self.files(participant):
            yield from self._activities(name, int(participant))

    def _activities(self, name: str, participant: int) -> Iterator[Recording]:
        table = self._table(name)
        letters = table["activity"].to_numpy(str)
        changes = np.flatnonzero(letters[1:] != letters[:-1]) + 1
        for first, last in pairwise([0, *changes.tolist(), len(letters)]):
            if first == last:  # an empty file
                continue
            letter = str(letters[first])
            if letter not in ACTIVITIES:
                raise self.raw.damaged(name, f"has the unknown activity {letter!r}")
            part = table.iloc[first:last]
            samples = part[["x", "y", "z"]].to_numpy(np.float64) / STANDARD_GRAVITY
            time = None
            if "nanoseconds" in part:
                clock = part["nanoseconds"].to_numpy(np.int64)
                time = (clock - clock[0]) / 1e9
            yield Recording(participant, samples, RATE_HZ, ACTIVITIES[letter], time)

    def _table(self, name: str) -> pd.DataFrame:
        """Lines ``subject,activity,x,y,z;`` or, as published, ``subject,activity,timestamp,x,y,z;``.

        A truncated last line is left out.
        """
        text = self.raw.read_text(name).rstrip()
        lines = text.replace(";", "").split()
        columns = ["subject", "activity", "nanoseconds", "x", "y", "z"]
        if not lines:
            return pd.DataFrame(columns=columns)
        commas = lines[0].count(",")
        if commas == 4:
            columns.remove("nanoseconds")
        if len(lines) > 1 and (lines[-1].count(",") < commas or (";" in text and text[-1] != ";")):
            lines.pop()
        try:
            if any(line.count(",") != commas or "\0" in line for line in lines):
                raise ValueError("a line has another number of values than the first, or is not text")
            kinds = {"activity": str, "nanoseconds": np.int64, "x": np.float64, "y": np.float64, "z": np.float64}
            return pd.read_csv(io.StringIO("\n".join(lines)), names=columns, dtype=kinds, index_col=False)
        except (ValueError, pd.errors.ParserError) as error:
            raise self.raw.damaged(name, "does not hold lines 'subject,activity,timestamp,x,y,z;'") from error
