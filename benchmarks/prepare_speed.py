"""Preparing a day of Capture-24 against a loop that cuts window by window in pandas.

    python benchmarks/prepare_speed.py [--hours 24] [--runs 3] [--loops slice position compare]

Writes one participant in the published format, then runs both sides in turn, after a warm-up of each on half an hour:

- ours: `sslwear.data.prepare.prepare`, from the compressed file to a data set directory;
- loops over windows in pandas: `read_csv` with parsed times; then for every 30 s window pick its rows, take the most
  frequent annotation, resample the window to 30 Hz, append; at the end stack and save. They differ in how they pick:
  - slice: by time, from the sorted index; each window is resampled by pandas;
  - position: 3,000 rows after another, each window interpolated by numpy. Public preparation scripts of CAPTURE-24 pick
    so, or by `resample("30s")`, which takes about as long;
  - compare: by comparing every row's time with the window's. This is the slowest way, and minutes of it are comparing.

Prints medians by the clock and of CPU time, which other work on the machine disturbs less, their ratios, and what ours
spends its time on.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sslwear.data.arrays import WORN, Fingerprint
from sslwear.data.prepare import prepare
from sslwear.data.sources.capture24 import Capture24
from sslwear.data.windowing import cut_usable, usable_part

ANNOTATIONS = {
    "7030 sleeping;MET 0.95": ("sleep", "sleep"),
    "11580 office/computer work;MET 1.5": ("sedentary", "sitting"),
    "17150 walking;MET 3.0": ("light", "walking"),
    "01010 bicycling;MET 6.8": ("moderate-vigorous", "bicycling"),
    "05035 kitchen activity general cooking/washing/dishes/cleaning up;MET 3.3": ("light", "mixed"),
}

LOOPS = ("slice", "position", "compare")


def write_participant(folder: Path, name: str, hours: float) -> None:
    """Write a participant's file and the dictionary, in the published format."""
    generator = np.random.default_rng(0)
    samples = int(hours * 3600 * 100)
    times = pd.date_range("2016-11-13 02:18:00", periods=samples, freq="10ms")
    stretch = 100 * 60 * 7
    noted = np.array([*ANNOTATIONS, ""])[np.arange(samples) // stretch % (len(ANNOTATIONS) + 1)]
    acceleration = np.array([0.1, -0.2, 0.97]) + generator.normal(0, 0.05, (samples, 3))
    text = times.strftime("%Y-%m-%d %H:%M:%S.%f").to_numpy(str)
    with gzip.open(folder / f"{name}.csv.gz", "wt", compresslevel=6) as file:
        file.write("time,x,y,z,annotation\n")
        for first in range(0, samples, 500_000):
            rows = slice(first, first + 500_000)
            x, y, z = acceleration[rows].T
            file.writelines(
                f"{t},{a:.6f},{b:.6f},{c:.6f},{n}\n"
                for t, a, b, c, n in zip(text[rows], x, y, z, noted[rows], strict=True)
            )
    dictionary = pd.DataFrame(
        {
            "annotation": list(ANNOTATIONS),
            "label:Walmsley2020": [labels[0] for labels in ANNOTATIONS.values()],
            "label:Willetts2018": [labels[1] for labels in ANNOTATIONS.values()],
        }
    )
    dictionary.to_csv(folder / "annotation-label-dictionary.csv", index=False)


def loop(folder: Path, out: Path, pick: str) -> int:
    """The reference side: window by window in pandas.

    Args:
        folder: the raw files.
        out: the folder to make.
        pick: how a window's rows are picked, one of LOOPS.
    """
    dictionary = pd.read_csv(folder / "annotation-label-dictionary.csv", index_col="annotation")["label:Walmsley2020"]
    data = pd.read_csv(
        folder / "P001.csv.gz",
        index_col="time",
        parse_dates=["time"],
        dtype={"x": "f4", "y": "f4", "z": "f4", "annotation": "string"},
    )
    windows, labels, starts = [], [], []
    length = pd.Timedelta("30s")
    for i, start in enumerate(pd.date_range(data.index[0], data.index[-1], freq=length)):
        if pick == "compare":
            window = data[(data.index >= start) & (data.index < start + length)]
        elif pick == "slice":
            window = data[start : start + length - pd.Timedelta("1ns")]
        else:
            window = data.iloc[3000 * i : 3000 * (i + 1)]
        if len(window) < 3000:
            continue
        annotation = window["annotation"].mode(dropna=False).iloc[0]
        if pd.isna(annotation):
            continue
        if pick == "position":
            axes = window[["x", "y", "z"]].to_numpy().T
            even = np.stack([np.interp(np.arange(900) / 30, np.arange(3000) / 100, axis) for axis in axes], axis=1)
        else:
            even = window[["x", "y", "z"]].resample("33333us", origin="start").mean().interpolate().iloc[:900]
        windows.append(np.asarray(even, np.float32))
        labels.append(dictionary[annotation])
        starts.append(start)
    out.mkdir()
    np.save(out / "X.npy", np.stack(windows))
    np.save(out / "Y.npy", np.array(labels))
    np.save(out / "T.npy", np.array(starts, "datetime64[ns]"))
    np.save(out / "pid.npy", np.full(len(labels), "P001"))
    return len(labels)


def ours(folder: Path, out: Path) -> int:
    """This package's side."""
    return prepare(Capture24(folder), out)[0].windows


def parts(folder: Path) -> dict[str, float]:
    """Seconds that each part of ours takes."""
    source = Capture24(folder)
    began = time.perf_counter()
    (recording,) = source.recordings("P001")
    read = time.perf_counter()
    found = cut_usable(*usable_part(recording), 30, 30, 30, source.limit_g)
    cut = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        np.save(Path(place) / "X.npy", found.samples)
        fingerprint = Fingerprint(found.samples.shape, found.samples.dtype)
        fingerprint.add(found.samples)
        fingerprint.finish({WORN: found.worn})
    written = time.perf_counter()
    return {"unpack and parse": read - began, "resample and cut": cut - read, "write": written - cut}


def main() -> None:
    """Run both sides in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        day, short = Path(place) / "day", Path(place) / "short"
        for folder, hours in ((short, 0.5), (day, arguments.hours)):
            folder.mkdir()
            write_participant(folder, "P001", hours)
        sides = {"ours": ours, **{f"loop by {pick}": partial(loop, pick=pick) for pick in arguments.loops}}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        counts = set()
        for run in range(arguments.runs + 1):
            for name, side in sides.items():
                out = Path(place) / "out"
                began, began_cpu = time.perf_counter(), time.process_time()
                count = side(short if run == 0 else day, out)
                if run:
                    seconds[name].append(time.perf_counter() - began)
                    cpu[name].append(time.process_time() - began_cpu)
                    counts.add(count)
                shutil.rmtree(out)
        (windows,) = counts  # all sides find the same
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        work = {name: statistics.median(times) for name, times in cpu.items()}
        for name, times in seconds.items():
            each = ", ".join(f"{t:.1f}" for t in times)
            print(f"{name}: median {medians[name]:.1f} s of {each} s; CPU time {work[name]:.1f} s")
        for name in list(sides)[1:]:
            clock, share = medians[name] / medians["ours"], work[name] / work["ours"]
            print(f"{windows} windows: ours is {clock:.1f} times as fast as the {name}, {share:.1f} by CPU time")
        split = ", ".join(f"{part} {t:.2f} s" for part, t in parts(day).items())
        size = (day / "P001.csv.gz").stat().st_size / 1e6
        print(f"ours: {24 / arguments.hours * medians['ours']:.1f} s a participant-day ({split}; file {size:.0f} MB)")


if __name__ == "__main__":
    main()
