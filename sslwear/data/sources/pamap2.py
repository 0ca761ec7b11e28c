"""PAMAP2: physical activities, from the accelerometer on the wrist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sslwear.data.sources.base import STANDARD_GRAVITY, Archive, Recording, Source

RATE_HZ = 100.0
FILE = r"(?:(Protocol|Optional)/)?subject(10\d)\.dat"
TIME, ACTIVITY, WRIST = 0, 1, (4, 5, 6)
"""Columns of the time in s, of the activity, and of the wrist's accelerometer of +-16 g in m/s^2, which the authors
recommend over the one of +-6 g; counted from 0."""
TRANSIENT = 0
ACTIVITIES = {
    1: "lying",
    2: "sitting",
    3: "standing",
    4: "walking",
    5: "running",
    6: "cycling",
    7: "nordic walking",
    9: "watching TV",
    10: "computer work",
    11: "car driving",
    12: "ascending stairs",
    13: "descending stairs",
    16: "vacuum cleaning",
    17: "ironing",
    18: "folding laundry",
    19: "house cleaning",
    20: "playing soccer",
    24: "rope jumping",
}
BENCHMARK_ACTIVITIES = (1, 2, 3, 4, 12, 13, 16, 17)
LEFT_OUT = 109
"""Subject with only a few activities."""


class Pamap2(Source):
    """18 activities of 9 people at 100 Hz; the benchmark keeps 8 activities of 8 people."""

    name = "pamap2"
    title = "PAMAP2 Physical Activity Monitoring"
    licence = "CC BY 4.0"
    citation = (
        "Reiss A, Stricker D. Introducing a new benchmarked dataset for activity monitoring. 16th International "
        "Symposium on Wearable Computers 2012"
    )
    homepage = "https://archive.ics.uci.edu/dataset/231/pamap2+physical+activity+monitoring"
    archives = (
        Archive(
            "https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip", None, "657 MB"
        ),
    )
    selects = True
    limit_g = 16.0

    @property
    def class_names(self) -> tuple[str, ...]:
        """The activities, in the order of their published numbers."""
        kept = ACTIVITIES if self.options.all_activities else BENCHMARK_ACTIVITIES
        return tuple(ACTIVITIES[number] for number in kept)

    def participants(self) -> Sequence[int]:
        """The subjects' numbers, 101 to 109."""
        subjects = sorted({int(match[2]) for _, match in self._files()})
        if not subjects:
            raise self.missing("PAMAP2_Dataset/Protocol/subject10N.dat")
        return [subject for subject in subjects if self.options.all_activities or subject != LEFT_OUT]

    def files(self, participant: int | str) -> Sequence[str]:
        """A subject's protocol file and, with all activities, the optional ones."""
        return [
            name
            for name, match in self._files()
            if int(match[2]) == participant and (match[1] != "Optional" or self.options.all_activities)
        ]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a subject's files."""
        for name in self.files(participant):
            yield self._recording(name, int(participant))

    def label_of(self, annotation: str) -> str | None:
        """The activity, or None for an activity that the options leave out."""
        return annotation if annotation in self.class_names else None

    def _files(self) -> list[tuple[str, re.Match[str]]]:
        """The files; one in two folders counts once, and one in another folder is that of the protocol."""
        found = {(match[1] == "Optional", match[2]): (name, match) for name, match in self.raw.find(FILE)}
        return list(found.values())

    def _recording(self, name: str, participant: int) -> Recording:
        """The recording of one file; samples lost in transmission are NaN."""
        table = self.raw.read_numbers(name, [TIME, ACTIVITY, *WRIST], width=54).dropna(subset=[TIME])
        numbers = table[ACTIVITY].fillna(TRANSIENT).to_numpy(int)
        unknown = set(np.unique(numbers).tolist()) - {TRANSIENT, *ACTIVITIES}
        if unknown:
            raise self.raw.damaged(name, f"has the unknown activity {min(unknown)}")
        time = table[TIME].to_numpy()
        return Recording(
            participant,
            table[list(WRIST)].to_numpy() / STANDARD_GRAVITY,
            RATE_HZ,
            pd.Categorical([ACTIVITIES.get(number) for number in numbers], list(ACTIVITIES.values())),
            time - time[0] if len(time) else time,
        )
