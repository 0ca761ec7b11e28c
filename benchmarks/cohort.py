"""Labelling many recordings in one command: time against the sum of its parts, memory, and resumption after a kill.

    python benchmarks/cohort.py [--recordings 200] [--hours 24] [--rate 30] [--jobs 2] [--encoder cnn10]

Made-up Parquet recordings are labelled by an untrained network, whose time is that of a trained one. A command for
some of them is killed half-way, then repeated: its files must be equal to those of one that was not. The sum of the
parts is that of single recordings, each labelled in this process on one core, divided by the number of jobs, plus the
start of the command. Seconds of the processor are compared too, because they depend less on other programs.
Then a week is read and labelled, with the time of each. Memory is as in `prediction.py`. Linux only. Writes RESULTS.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe, new_store, write_section
from prediction import Measured, run, untrained

from sslwear.data.files.device_reader import open_recording
from sslwear.data.files.recording_format import Reading, RecordingFormat
from sslwear.deployment.prediction.batch_prediction import predict
from sslwear.deployment.prediction.files import Options
from sslwear.encoders.classifier import Model
from sslwear.training.threads import use_threads

SINGLES = 6
"""Recordings whose parts are measured."""
DIFFERENT = 20
"""Recordings that differ; the others are links to them, to save disk space."""


def write(path: Path, hours: float, rate_hz: float, seed: int) -> Path:
    """A made-up recording: quiet nights, and days with bouts of movement."""
    generator = np.random.default_rng(seed)
    count = int(hours * 3600 * rate_hz)
    seconds = np.arange(count) / rate_hz
    clock = (10 + seconds / 3600) % 24
    motion = np.where((clock < 7) | (clock > 23), 0.02, 0.03 + 0.3 * np.clip(np.sin(seconds / 900 + seed), 0, 1) ** 3)
    values = np.array([0, 0, 1]) + generator.normal(0, 1, (count, 3)) * motion[:, None]
    table = pd.DataFrame(values.astype(np.float32), columns=["x", "y", "z"])
    start = np.datetime64("2024-05-06T10:00", "us")
    table.insert(0, "time", start + np.rint(seconds * 1e6).astype("timedelta64[us]"))
    table.to_parquet(path, index=False)
    return path


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder; records have paths of no other folder, so that all files must be equal."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def command(folder: Path, reference: str, out: Path, jobs: int) -> list[str]:
    """The command that labels a folder."""
    given = ["--model", reference, "--out", str(out), "--jobs", str(jobs), "--min-days", "1"]
    return [sys.executable, "-m", "sslwear", "predict", str(folder), *given]


def killed(arguments: list[str], home: Path, out: Path, finished: int) -> float:
    """Run a command until so many recordings are finished, then kill it; returns the seconds."""
    began = time.perf_counter()
    environment = {**os.environ, "SSLWEAR_HOME": str(home)}
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.glob("*.png"))) < finished:
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    return time.perf_counter() - began


def singles(files: list[Path], model: Model, place: Path) -> tuple[float, float]:
    """Mean seconds, and seconds of the processor, of a recording that is labelled in this process on one core."""
    use_threads(1)
    options = Options(place / "single", reading=Reading(RecordingFormat(unit=None)))
    list(predict(files[:1], model, Options(place / "warm", reading=options.reading)))
    began, used = time.perf_counter(), time.process_time()
    list(predict(files, model, options))
    return (time.perf_counter() - began) / len(files), (time.process_time() - used) / len(files)


def timed(arguments: list[str], home: Path) -> tuple[Measured, float]:
    """Run a command; returns what it took, and its seconds of the processor with those of its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = run(arguments, home)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def week(place: Path, model: Model, rate_hz: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds, and seconds of the processor, of reading a week, and of labelling its windows, on one core."""
    use_threads(1)
    file = write(place / "week.parquet", 7 * 24, rate_hz, 0)
    began, used = time.perf_counter(), time.process_time()
    with open_recording(file, place, Reading(RecordingFormat(unit=None))) as recording:
        card = model.card
        windows = np.concatenate(
            [piece.samples for piece in recording.windows(card.rate_hz, card.window_s, card.window_s)]
        )
    read = time.perf_counter() - began, time.process_time() - used
    began, used = time.perf_counter(), time.process_time()
    model.probabilities(windows)
    return read, (time.perf_counter() - began, time.process_time() - used)


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--killed", type=int, default=20, help="recordings of the command that is killed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--encoder", default="cnn10")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = measure(Path(name), options)
    what = f"--recordings {options.recordings} --hours {options.hours:g} --rate {options.rate:g}"
    write_section(f"Many recordings in one command: `python benchmarks/cohort.py {what}`", text)


def recordings(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Write the recordings; only the first ones differ."""
    files: list[Path] = []
    for i in range(options.recordings):
        file = folder / f"P{i:03d}.parquet"
        if i < DIFFERENT:
            write(file, options.hours, options.rate, i)
        else:
            os.link(files[i % DIFFERENT], file)
        files.append(file)
    return files


def measure(place: Path, options: argparse.Namespace) -> str:
    """Run all, and put it into words."""
    home, folder = place / "home", place / "recordings"
    home.mkdir()
    folder.mkdir()
    model, reference = untrained(new_store(home), options.encoder)
    files = recordings(folder, options)
    (place / "none").mkdir()
    for i in range(options.jobs):  # each process starts
        write(place / "none" / f"short{i}.parquet", 0.01, options.rate, i)
    start, start_used = timed(command(place / "none", reference, place / "nothing", options.jobs), home)
    one, one_used = singles(files[:SINGLES], model, place)
    print("one recording", one, one_used, flush=True)
    whole, whole_used = timed(command(folder, reference, place / "out", options.jobs), home)
    print("all", whole, whole_used, flush=True)
    expected = one * len(files) / options.jobs + start.seconds
    expected_used = one_used * len(files) + start_used
    some = place / "some"
    some.mkdir()
    for file in files[: options.killed]:
        os.link(file, some / file.name)
    timed(command(some, reference, place / "once", options.jobs), home)
    before = killed(command(some, reference, place / "again", options.jobs), home, place / "again", options.killed // 2)
    done = len(list((place / "again").glob("*.png")))
    rest, _ = timed(command(some, reference, place / "again", options.jobs), home)
    first, second = digests(place / "once"), digests(place / "again")
    unlike = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
    read, labelled = week(place, model, options.rate)
    size = sum(path.stat().st_size for path in files) / 1e6
    busy = os.getloadavg()[0]
    return f"""{describe()}. {options.encoder}, {len(files)} made-up Parquet recordings of {options.hours:g} h at
{options.rate:g} Hz ({size:.0f} MB), {options.jobs} at a time. Other programs used the machine (load {busy:.1f} at the
end), so times are not those of an idle one.

| what | s | of the processor, s |
|---|---|---|
| one recording on one core, mean of {SINGLES} | {one:.1f} | {one_used:.2f} |
| sum of the parts: all recordings on {options.jobs} cores, and the start | {expected:.0f} | {expected_used:.0f} |
| the command | {whole.seconds:.0f} | {whole_used:.0f} |
| a command for {options.killed} recordings, killed after {done} | {before:.0f} | |
| the same command again, for the rest | {rest.seconds:.0f} | |
| reading a week and cutting it into windows, one core | {read[0]:.1f} | {read[1]:.1f} |
| the network on the week's windows, one core | {labelled[0]:.1f} | {labelled[1]:.1f} |

The command took {whole.seconds / expected - 1:+.0%} of the time of the parts,
{whole_used / expected_used - 1:+.0%} of their processor time, and at most {whole.own_mb:.0f} MB, {whole.all_mb:.0f} MB
with the pages of files. Files that differ between a command and one that was killed and
repeated: {", ".join(unlike) or "none"} of {len(first)}."""


if __name__ == "__main__":
    main()
