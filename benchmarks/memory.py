"""Resident memory of preparing and of training on data that is larger than memory may be.

    python benchmarks/memory.py train      # 300,000 windows of 30 s, 3.2 GB: opened, checked, trained on for an epoch
    python benchmarks/memory.py shards     # pre-training from 20 and from 400 participants' shards, 12.4 GB of them
    python benchmarks/memory.py prepare    # participants of 24 h in Capture-24's format, two at a time
    python benchmarks/memory.py import --recording FILE.cwa.gz   # an Axivity recording, repeated to a week

Real smart-watch recordings are tiled to the size that is wanted. Memory is the most that a process tree held at once
(RSS, sampled ten times a second). Linux only, because it reads /proc.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sslwear.config import to_yaml
from sslwear.data.arrays import Description, motion, release
from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.data.splits import hold_out

SAMPLES = 900
IMPORTS = "import torch, mlflow, time; print('ready', flush=True); time.sleep(60)"


def tree_of(pid: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    tree = {pid}
    while new := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= new
    return tree


def resident_mb(pid: int) -> float:
    """RSS of a process and of all below it, in MB."""
    total = 0.0
    for member in tree_of(pid):
        try:
            status = Path(f"/proc/{member}/status").read_text(encoding="utf-8")
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0) / 1024
    return total


def peak_mb(command: list[str], **environment: str) -> tuple[float, float, int]:
    """Run a command: the most memory in MB, the time in s, and the exit code."""
    began, most = time.perf_counter(), 0.0
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, resident_mb(process.pid))
            time.sleep(0.1)
    return most, time.perf_counter() - began, process.returncode


def imports_mb() -> float:
    """What importing torch and mlflow takes."""
    with subprocess.Popen([sys.executable, "-c", IMPORTS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        taken = resident_mb(process.pid)
        process.kill()
    return taken


def tile(folder: Path, windows: int, participants: int) -> None:
    """Real 30 s windows, repeated to so many, of participants with as many each: 3.2 GB for 300,000."""
    prepare(Smartwatch(), folder / "real", WindowPlan(window_s=30, step_s=1))
    real = open_dataset(folder / "real")
    rows = np.resize(np.arange(len(real)), windows)
    out = folder / "tiled"
    out.mkdir()
    file = np.lib.format.open_memmap(out / "X.npy", "w+", np.float32, (windows, SAMPLES, 3))
    for first in range(0, windows, len(real)):
        piece = real.windows[: windows - first]
        file[first : first + len(piece)] = piece
        release(file)
    names = np.array(real.class_names)
    np.save(out / "Y.npy", names[real.labels[rows]])
    np.save(out / "pid.npy", np.arange(windows) * participants // windows)
    np.save(out / "T.npy", np.arange(windows) * 30.0)
    Description(name="tiled", rate_hz=30, window_s=30, step_s=30).save(out)
    size = (out / "X.npy").stat().st_size / 1e9
    print(f"{windows} windows of {SAMPLES} samples, {size:.2f} GB, of {participants} participants; real ones, repeated")


def study(folder: Path, **settings: object) -> list[str]:
    """A study file and the start of a command that uses it."""
    (folder / "study.yaml").write_text(to_yaml({"study": "memory", **settings}))
    return [str(Path(sys.executable).parent / "sslwear")]


def train(
    folder: Path, encoder: str, tuned: str, windows: int, participants: int, test: float, batch_size: int
) -> None:
    """Open and check all windows, and train for one whole epoch on the participants that `test` leaves."""
    tile(folder, windows, participants)
    base = imports_mb()
    training = {"tuning": tuned, "max_epochs": 1, "batch_size": batch_size}
    data = folder / "tiled"
    command = study(folder, data=str(data), encoder=encoder, training=training, split={"test": test})
    home = folder / "home"
    most, seconds, code = peak_mb([*command, "train", str(folder / "study.yaml")], SSLWEAR_HOME=str(home))
    assert code == 0, code
    saved = [path for path in home.rglob("*.safetensors") if path.stat().st_size]
    assert saved, "no checkpoint was kept"
    pid = np.load(data / "pid.npy")
    split = hold_out(pid, test)
    learnt, judged = (int(np.isin(pid, side).sum()) for side in (split.train, split.validation))
    print(f"importing torch and mlflow: {base:.0f} MB")
    print(
        f"all {windows} windows opened and checked, then one whole epoch of {encoder}, {tuned} tuned, batches of "
        f"{batch_size}, on {learnt} windows of {len(split.train)} participants, validated on {judged} of "
        f"{len(split.validation)}, the checkpoint kept; {seconds:.0f} s: {most:.0f} MB, {most - base:.0f} MB beyond "
        "importing"
    )


def shards(folder: Path, counts: Sequence[int]) -> None:
    """Pre-train for an epoch from few and from many participants, each with files of a day's windows of 10 s."""
    prepare(Smartwatch(), folder / "labelled")
    prepare(Smartwatch(), folder / "few", WindowPlan(10, 5, unlabelled=True))
    whole = np.concatenate([np.load(path) for path in sorted((folder / "few").glob("*/X.npy"))])
    note = json.loads(next((folder / "few").glob("*/report.json")).read_text(encoding="utf-8"))
    base = imports_mb()
    out = folder / "days"
    for count in sorted(counts):
        for i in range(len(list(out.glob("*"))), count):
            shard = out / f"{i:04d}-person{i}"
            shard.mkdir(parents=True)
            day = np.resize(np.roll(whole, 97 * i, axis=0), (8640, *whole.shape[1:]))
            np.save(shard / "X.npy", day)
            np.save(shard / "motion.npy", motion(day))
            np.save(shard / "worn.npy", np.ones(len(day), bool))
            changed = note | {"participant": f"person{i}", "windows": len(day), "fingerprint": f"{i:064x}"}
            (shard / "report.json").write_text(json.dumps(changed))
        pretraining = {
            "data": str(out),
            "max_epochs": 1,
            "sampling": "motion",
            "windows_per_participant": max(1, 6000 // count),
        }
        command = study(
            folder,
            data=str(folder / "labelled"),
            encoder="harnet10",
            training={"pretext": "multi"},
            pretraining=pretraining,
        )
        home = {"SSLWEAR_HOME": str(folder / "home")}
        most, seconds, code = peak_mb([*command, "pretrain", str(folder / "study.yaml")], **home)
        assert code == 0
        size = sum(path.stat().st_size for path in out.glob("*/X.npy")) / 1e9
        print(
            f"{count} participants with files of their own (real windows, repeated from another start), {size:.1f} GB: "
            f"{most:.0f} MB, {most - base:.0f} beyond importing; {seconds:.0f} s"
        )


def prepared(folder: Path, hours: float) -> None:
    """Prepare 2 and 6 participants, two at a time."""
    from prepare_speed import write_participant

    raw = folder / "capture24"
    raw.mkdir()
    write_participant(raw, "P001", hours)
    for count in (2, 6):
        for i in range(2, count + 1):
            if not (raw / f"P{i:03}.csv.gz").exists():
                os.link(raw / "P001.csv.gz", raw / f"P{i:03}.csv.gz")
        out = folder / f"out-{count}"
        command = [str(Path(sys.executable).parent / "sslwear"), "data", "prepare", "capture24", "--jobs", "2"]
        most, seconds, code = peak_mb([*command, "--raw", str(raw), "--out", str(out)])
        assert code == 0
        print(f"{count} participants of {hours:g} h, two at a time: {most:.0f} MB in all, {seconds:.0f} s")


def week_of(recording: bytes, days: int = 7) -> bytes:
    """An Axivity recording's blocks again and again, with later times and right checksums, for a week or other days.

    The format: a header of two blocks; then blocks of 512 bytes, with a packed time in bytes 14 to 17 (six bits each of
    seconds and minutes, five of hours and days, four of months) and 16-bit words that add up to zero.
    """
    header, blocks = recording[:1024], np.frombuffer(recording[1024:], np.uint8).reshape(-1, 512)
    packed = blocks[:, 14:18].copy().view("<u4").ravel().astype(np.int64)
    day, hour, minute, second = ((packed >> shift) & mask for shift, mask in ((17, 31), (12, 31), (6, 63), (0, 63)))
    seconds = ((day * 24 + hour) * 60 + minute) * 60 + second
    length = int(seconds[-1] - seconds[0]) + 1
    parts = []
    for i in range(days * 86400 // length):
        later = seconds + i * length
        time = packed >> 22 << 22 | later // 86400 << 17 | later // 3600 % 24 << 12 | later // 60 % 60 << 6 | later % 60
        piece = blocks.copy()
        piece[:, 14:18] = time.astype("<u4").reshape(-1, 1).view(np.uint8)
        words = piece.view("<u2")
        words[:, -1] = -words[:, :-1].sum(axis=1, dtype=np.uint64) & 0xFFFF
        parts.append(piece.tobytes())
    return header + b"".join(parts)


def imported(folder: Path, recording: Path) -> None:
    """Import a week of a device."""
    week = folder / "week.cwa"
    week.write_bytes(week_of(gzip.decompress(recording.read_bytes())))
    command = [str(Path(sys.executable).parent / "sslwear"), "data", "import", str(week), "--out", str(folder / "out")]
    most, seconds, code = peak_mb(command)
    assert code == 0
    print(f"a week, {week.stat().st_size / 1e6:.0f} MB: {most:.0f} MB in all, {seconds:.0f} s")


def main() -> None:
    """Run one of the four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "shards", "prepare", "import"])
    parser.add_argument("--recording", type=Path, help="an Axivity file, .cwa.gz, within a week of one month")
    parser.add_argument("--encoder", default="harnet30")
    parser.add_argument("--tuned", default="all")
    parser.add_argument("--windows", type=int, default=300_000, help="windows of the data set that is trained on")
    parser.add_argument("--participants", type=int, default=151, help="people they are of, with as many windows each")
    parser.add_argument(
        "--test",
        type=float,
        default=0.9,
        help="share of the participants that an epoch leaves out, which makes it shorter and no smaller",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="windows a step of training")
    parser.add_argument("--shards", type=int, nargs="+", default=[20, 400], help="participants to pre-train from")
    parser.add_argument("--hours", type=float, default=24)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if arguments.what == "train":
            train(
                Path(place),
                arguments.encoder,
                arguments.tuned,
                arguments.windows,
                arguments.participants,
                arguments.test,
                arguments.batch_size,
            )
        elif arguments.what == "shards":
            shards(Path(place), arguments.shards)
        elif arguments.what == "import":
            imported(Path(place), arguments.recording)
        else:
            prepared(Path(place), arguments.hours)


if __name__ == "__main__":
    main()
