"""ADL: activities of daily living with a wrist-worn accelerometer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sslwear.data.sources.base import Archive, Recording, Source
from sslwear.data.sources.raw import natural

RATE_HZ = 32.0
FILE = r"(?:\w+/)?Accelerometer-(\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\w+)-([fm]\d+)\.txt"
BENCHMARK_VOLUNTEERS = ("f1", "f2", "f3", "m1", "m2", "m3", "m4")
BENCHMARK_ACTIVITIES = ("climb_stairs", "drink_glass", "getup_bed", "pour_water", "walk")
ACTIVITIES = (
    "brush_teeth",
    "climb_stairs",
    "comb_hair",
    "descend_stairs",
    "drink_glass",
    "eat_meat",
    "eat_soup",
    "getup_bed",
    "liedown_bed",
    "pour_water",
    "sitdown_chair",
    "standup_chair",
    "use_telephone",
    "walk",
)
LARGEST = 63
"""Largest coded value; 0 to 63 stand for -1.5 g to 1.5 g."""


class Adl(Source):
    """14 activities of 16 volunteers, 32 Hz, 6 bits an axis; the benchmark keeps 5 activities of 7 volunteers."""

    name = "adl"
    title = "Dataset for ADL Recognition with Wrist-worn Accelerometer"
    licence = "CC BY 4.0; its authors ask commercial users to contact them"
    citation = (
        "Bruno B, Mastrogiovanni F, Sgorbissa A, Vernazza T, Zaccaria R. Analysis of human behavior recognition "
        "algorithms based on acceleration data. IEEE ICRA 2013"
    )
    homepage = "https://archive.ics.uci.edu/dataset/283/dataset+for+adl+recognition+with+wrist+worn+accelerometer"
    archives = (
        Archive(
            "https://archive.ics.uci.edu/static/public/283/"
            "dataset+for+adl+recognition+with+wrist+worn+accelerometer.zip",
            None,
            "4 MB",
        ),
    )
    selects = True
    limit_g = 1.5

    @property
    def class_names(self) -> tuple[str, ...]:
        """The activities."""
        return ACTIVITIES if self.options.all_activities else BENCHMARK_ACTIVITIES

    def participants(self) -> Sequence[str]:
        """The volunteers: f1, f2, ..., m1, m2, ..."""
        volunteers = sorted({match[8] for _, match in self._files()}, key=natural)
        if not volunteers:
            raise self.missing("HMP_Dataset/ACTIVITY/Accelerometer-DATE-ACTIVITY-VOLUNTEER.txt")
        return [name for name in volunteers if self.options.all_activities or name in BENCHMARK_VOLUNTEERS]

    def files(self, participant: int | str) -> Sequence[str]:
        """A volunteer's trials."""
        return [name for name, _ in self._trials(participant)]

    def recordings(self, participant: int | str) -> Iterator[Recording]:
        """Read a volunteer's trials in order of time."""
        for name, match in self._trials(participant):
            try:
                start = np.datetime64(f"{match[1]}-{match[2]}-{match[3]}T{match[4]}:{match[5]}:{match[6]}")
            except ValueError as error:
                raise self.raw.damaged(name, "has an impossible date in its name") from error
            yield Recording(match[8], self._samples(name), RATE_HZ, match[7], start=start)

    def _trials(self, participant: int | str) -> list[tuple[str, re.Match[str]]]:
        kept = [pair for pair in self._files() if pair[1][8] == participant and pair[1][7] in self.class_names]
        return sorted(kept, key=lambda pair: pair[1].group(1, 2, 3, 4, 5, 6))

    def _files(self) -> list[tuple[str, re.Match[str]]]:
        """The trials; a trial in two folders counts once."""
        found = self.raw.find(FILE)
        return list({name.rsplit("/", 1)[-1]: (name, match) for name, match in found}.values())

    def _samples(self, name: str) -> NDArray[np.floating]:
        text = self.raw.read_text(name)
        try:
            coded = np.array(text.split(), np.float32).reshape(-1, 3)
        except ValueError as error:
            raise self.raw.damaged(name, "does not hold three numbers a line") from error
        if len(coded) and not (coded.min() >= 0 and coded.max() <= LARGEST):
            raise self.raw.damaged(name, f"has values outside of 0 to {LARGEST}")
        return coded / LARGEST * 3 - 1.5
