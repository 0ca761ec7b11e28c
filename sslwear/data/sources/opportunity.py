"""OPPORTUNITY: modes of locomotion, from the accelerometer on the right lower arm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sslwear.data.sources.base import Archive, Recording, Source

RATE_HZ = 30.0
FILE = r"S(\d)-(?:ADL\d|Drill)\.dat"
TIME, ARM, LOCOMOTION = 0, (63, 64, 65), 243
"""Columns of the time in ms, of the accelerometer of the inertial unit RLA in mg, and of the mode of locomotion, by the
published column_names.txt, counted from 0."""
NONE = 0
ACTIVITIES = {1: "stand", 2: "walk", 4: "sit", 5: "lie"}


class Opportunity(Source):
    """4 modes of locomotion of 4 people in a kitchen, five runs of daily living and a drill each, 30 Hz."""

    name = "opportunity"
    title = "OPPORTUNITY Activity Recognition"
    licence = "CC BY 4.0"
    citation = (
        "Roggen D, Calatroni A, Rossi M, et al. Collecting complex activity datasets in highly rich networked sensor "
        "environments. 7th International Conference on Networked Sensing Systems 2010"
    )
    homepage = "https://archive.ics.uci.edu/dataset/226/opportunity+activity+recognition"
    archives = (
        Archive("https://archive.ics.uci.edu/static/public/226/opportunity+activity+recognition.zip", None, "292 MB"),
    )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The modes of locomotion."""
        return tuple(ACTIVITIES.values())

    def participants(self) -> Sequence[int]:
        """The subjects, 1 to 4."""
        subjects = sorted({int(match[1]) for _, match in self._files()})
        if not subjects:
            raise self.missing("OpportunityUCIDataset/dataset/S1-ADL1.dat ...")
        return subjects

    def files(self, participant: int | str) -> Sequence[str]:
        """A subject's runs."""
        return [name for name, match in self._files() if int(match[1]) == participant]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a subject's runs."""
        for name in self.files(participant):
            yield self._recording(name, int(participant))

    def _files(self) -> list[tuple[str, re.Match[str]]]:
        """The runs; a file in two folders counts once."""
        return list({name.rsplit("/", 1)[-1]: (name, match) for name, match in self.raw.find(FILE)}.values())

    def _recording(self, name: str, participant: int) -> Recording:
        """The recording of one file; samples lost in transmission are NaN."""
        table = self.raw.read_numbers(name, [TIME, *ARM, LOCOMOTION], width=250)
        numbers = table[LOCOMOTION].fillna(NONE).to_numpy(int)
        unknown = set(np.unique(numbers).tolist()) - {NONE, *ACTIVITIES}
        if unknown:
            raise self.raw.damaged(name, f"has the unknown locomotion {min(unknown)}")
        time = table[TIME].to_numpy() / 1000
        return Recording(
            participant,
            table[list(ARM)].to_numpy() / 1000,
            RATE_HZ,
            pd.Categorical([ACTIVITIES.get(number) for number in numbers], list(ACTIVITIES.values())),
            time - time[0] if len(time) else time,
        )
