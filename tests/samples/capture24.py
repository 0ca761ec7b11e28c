"""CAPTURE-24: gaps, repeated times and swapped samples, clipping, an unknown annotation, and a person without any."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

DICTIONARY = """annotation,label:Walmsley2020,label:Willetts2018,label:Nobody2030
7030 sleeping;MET 0.95,sleep,sleep,night
11580 office work;MET 1.5,sedentary,sitting,day
17150 walking;MET 3.0,light,walking,day
01010 bicycling;MET 6.8,moderate-vigorous,bicycling,
"""
SLEEP, OFFICE, WALK, BICYCLE = (line.split(",")[0] for line in DICTIONARY.splitlines()[1:])


def write(folder: Path) -> None:
    """Write the files as the published archive has them."""
    (folder / "annotation-label-dictionary.csv").write_text(DICTIONARY)
    for i, noted in enumerate(([SLEEP, OFFICE, WALK], [BICYCLE, "", WALK], [SLEEP, "not in the dictionary", OFFICE])):
        rows = day(noted, seed=i)
        if i == 1:
            swapped = rows.iloc[[*range(2000), 1999, 2001, 2000, *range(2002, 4500)]]
            rows = pd.concat([swapped, rows.iloc[6000:]])
        if i == 2:
            rows.loc[100:103, "x"] = 8.0
        write_participant(folder / f"P{i + 1:03}.csv.gz", rows)
    write_participant(folder / "P004.csv.gz", day(["", "", ""], seed=4))


def day(noted: list[str], seed: int = 0, seconds: int = 33) -> pd.DataFrame:
    """Some seconds of each annotation at 100 Hz."""
    samples = len(noted) * seconds * 100
    acceleration = np.random.default_rng(seed).normal([0, 0, 1], 0.1, (samples, 3))
    table = pd.DataFrame(acceleration, columns=["x", "y", "z"])
    table.insert(0, "time", pd.date_range("2016-11-13 02:18:00", periods=samples, freq="10ms"))
    table["annotation"] = np.repeat(noted, seconds * 100)
    return table


def write_participant(path: Path, table: pd.DataFrame) -> None:
    """Write one participant's file."""
    with gzip.open(path, "wt") as file:
        table.to_csv(file, index=False, date_format="%Y-%m-%d %H:%M:%S.%f", float_format="%.6f")
