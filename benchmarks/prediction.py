"""Labelling new recordings: how long it takes, what bounds it, and memory by length.

    python benchmarks/prediction.py --recording FILE.cwa.gz [--encoder harnet10] [--days 7] [--jobs 2] [--whole]

An Axivity recording is labelled by an untrained network of the encoder that is asked for, whose time and memory are
those of a trained one; repeated to so many days it is read only, unless --whole has it labelled too. Memory is the most
that the command and all below it, Java included, held at once (RSS, sampled ten times a second), without and with the
pages of files, of which the system can take back most. Linux only, because it reads /proc. Writes RESULTS.md.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import torch
from machine import describe, new_store, write_section
from memory import tree_of, week_of

from sslwear.data.files import device_reader
from sslwear.encoders.base import get
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from sslwear.tracking import Store

CLASSES = ("sleep", "sedentary", "light", "moderate-vigorous")
SAMPLE_S = 0.1


@dataclass(frozen=True)
class Measured:
    """What a command took: seconds, and MB without and with the pages of files."""

    seconds: float
    own_mb: float
    all_mb: float


def resident_mb(pid: int) -> tuple[float, float]:
    """Memory of a process and all below it in MB, without and with the pages of files."""
    own, pages = 0, 0
    for member in tree_of(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("Rss", "VmRSS"))}
        own += sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0)
        pages += sizes.get("RssFile", 0)
    return own / 1024, (own + pages) / 1024


def predicting(files: list[Path], reference: str, out: Path, jobs: int) -> list[str]:
    """The command that labels recordings, as a user gives it."""
    command = [str(Path(sys.executable).parent / "sslwear"), "predict", *map(str, files), "--model", reference]
    return [*command, "--out", str(out), "--jobs", str(jobs)]


def run(command: list[str], home: Path) -> Measured:
    """Run a command and watch its memory."""
    began, most = time.perf_counter(), (0.0, 0.0)
    environment = os.environ | {"SSLWEAR_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            own, everything = resident_mb(process.pid)
            most = max(most[0], own), max(most[1], everything)
            time.sleep(SAMPLE_S)
    assert process.returncode == 0, process.returncode
    return Measured(time.perf_counter() - began, *most)


def untrained(store: Store, encoder: str) -> tuple[Model, str]:
    """A model with random weights, and the reference of the run that has it."""
    samples = get(encoder).window_samples
    card = Card(encoder, samples, 30.0, "g", CLASSES, "none", "", None)
    body = network(card)
    with store.start_run(store.experiment("benchmark"), "untrained", "train") as started:
        started.checkpoint(body, card, {}, 0)
    return Model(body, card), f"runs:/{started.id}"


def parts(file: Path, place: Path, model: Model) -> dict[str, float]:
    """Seconds of the parts of labelling a recording, one after another in this process."""
    torch.set_num_threads(joblib.cpu_count())
    found, began = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        found[name] = time.perf_counter() - began
        began = time.perf_counter()

    card = model.card
    with device_reader.open_recording(file, place) as recording:
        lap("reading (Java, and writing samples to disk), filter, calibration, non-wear")
        windows = [piece.samples for piece in recording.windows(card.rate_hz, card.window_s, card.window_s)]
        lap("windows")
    model.probabilities(np.concatenate(windows))
    lap("network")
    return found


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, required=True, help="an Axivity file, .cwa.gz, of a few hours")
    parser.add_argument("--encoder", default="harnet10")
    parser.add_argument("--days", type=int, default=7, help="days of the long recording, which stay in one month")
    parser.add_argument("--jobs", type=int, default=2, help="recordings at a time")
    parser.add_argument("--whole", action="store_true", help="label the long recording too, and not only read it")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(options.read, options.recording)
        return
    with tempfile.TemporaryDirectory() as name:
        whole = " --whole" if options.whole else ""
        write_section(
            f"Labelling new recordings: `python benchmarks/prediction.py --encoder {options.encoder}{whole}`",
            measure(Path(name), options),
        )


def read(file: Path, place: Path) -> None:
    """Read a recording and cut it into windows, which are dropped; in a process of its own."""
    with device_reader.open_recording(file, place) as recording:
        for _ in recording.windows(30, 10, 10):
            pass


def copies_of(file: Path, count: int) -> list[Path]:
    """Further names of a file."""
    copies = [file.parent / f"copy{i}.cwa" for i in range(count)]
    for copy in copies:
        os.link(file, copy)
    return copies


def measure(place: Path, options: argparse.Namespace) -> str:
    """Run all, and put it into words."""
    home, days = place / "home", f"{options.days} days"
    home.mkdir()
    model, reference = untrained(new_store(home), options.encoder)
    content = gzip.decompress(options.recording.read_bytes())
    short, long = place / "short.cwa", place / "long.cwa"
    short.write_bytes(content)
    long.write_bytes(week_of(content, options.days))
    copies = copies_of(short, options.jobs)
    rows = {}

    def add(what: str, command: list[str]) -> Measured:
        rows[what] = run(command, home)
        print(what, rows[what], flush=True)
        return rows[what]

    for what, file in (("the recording, read only", short), (f"{days}, read only", long)):
        add(what, [sys.executable, __file__, "--recording", str(place), "--read", str(file)])
    add("the recording", predicting([short], reference, place / "out1", 1))
    side = add(
        f"{options.jobs} of it, {options.jobs} at a time", predicting(copies, reference, place / "out2", options.jobs)
    )
    if options.whole:
        add(days, predicting([long], reference, place / "out3", 1))
    table = "\n".join(
        f"| {what} | {found.seconds:.0f} | {found.own_mb:.0f} | {found.all_mb:.0f} |" for what, found in rows.items()
    )
    took = parts(short, place, model)
    windows = sum(1 for _ in (place / "out1" / "short.csv").open()) - 1
    shares = "\n".join(f"| {what} | {s:.2f} | {s / sum(took.values()):.0%} |" for what, s in took.items())
    a_week = 7 * 86400 / model.card.window_s
    return f"""{describe()}. {options.encoder}, an Axivity recording of 3 hours at 100 Hz, and the same repeated to
{days} ({long.stat().st_size / 1e6:.0f} MB); windows side by side. Memory is of the command and all below it, Java
included, without and with the pages of files.

| what | s | MB | MB with pages of files |
|---|---|---|---|
{table}

The parts of one recording of 3 hours, one after another on all cores:

| part | s | share |
|---|---|---|
{shares}

The network alone makes {windows / took["network"]:.0f} windows/s, {options.jobs} commands' worth side by side with all
that belongs to them, starting Python included, {windows * len(copies) / side.seconds:.0f} windows/s. A week has
{a_week:.0f} windows: at the parts' rate **{3600 * windows / a_week / sum(took.values()):.1f} recordings of a week an
hour**, and the network bounds it."""


if __name__ == "__main__":
    main()
