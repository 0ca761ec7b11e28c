"""Surgical fine-tuning side by side with the tutorial's loop (`reference.py`).

    python benchmarks/surgical.py [--rounds 3] [--every 4] [--parts trainings studies rate memory]

Both sides run in turn, each measurement in a process of its own, on the smart-watch recordings that the package
embeds: the same windows, split, first weights, trials in the same order, seeds, batch sizes and epochs, without early
stopping. Databases are made, code is imported and a step is taken before the clock starts. Rows that have the same
reference side share its measurements. Prints medians and ratios, and writes each part to RESULTS.md when it is done.

Studies learn from every fourth window of the training participants, so that three rounds of the slower side end within
an hour on a processor with bf16; single trainings learn from all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from machine import describe, peak_mb, write_section
from memory import peak_mb as resident
from memory import tile
from sides import ALONE, BATCH, EPOCHS, ROWS, STUDIES, STUDY_BATCH, TRAININGS, make

from sslwear.training.device import resolve_precision

CHANCE, EQUAL = 0.2, 0.01
"""Kappa below which a training has learnt hardly anything, and the largest loss of kappa that counts as equal."""
TRAIN_REFERENCE = """
import sys, pathlib, reference
reference.train_on_what_is_larger_than_memory(pathlib.Path(sys.argv[1]), batch_size=64, seconds=60)
"""


def large(side: str, place: Path) -> float:
    """Most memory in MB of opening 3.2 GB of windows and training harnet30, everything tuned, on some of them."""
    if side == "reference":
        command = [sys.executable, "-c", TRAIN_REFERENCE, str(place / "tiled")]
        most, _, code = resident(command, PYTHONPATH=str(Path(__file__).parent))
    else:
        content = {"data": str(place / "tiled"), "encoder": "harnet30", "split": {"test": 0.98, "validation": 0.34}}
        training = {"tuning": "all", "batch_size": 64, "max_epochs": 1}
        (place / "large.yaml").write_text(json.dumps({"study": "large", **content, "training": training}))
        command = [str(Path(sys.executable).parent / "sslwear"), "train", str(place / "large.yaml")]
        most, _, code = resident(command, SSLWEAR_HOME=str(place / "home"))
    assert code == 0, f"{side} ended with {code}"
    return most


def measured(side: str, row: str, place: Path) -> dict[str, float]:
    """One measurement, in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--row", row, "--place", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{row}, {side}:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{row:15} {side:10} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()), flush=True)
    return found


def compare(rows: Sequence[str], rounds: int, place: Path) -> str:
    """Run both sides in turn; returns a table in Markdown."""
    lines = [
        "| what | reference s | ours s | ratio | wanted | kappa, reference | ours | MB, reference | ours | logging |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    references: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        what, wanted, _, shared = ROWS[row]
        ours, theirs = [], references.setdefault(shared, [])
        for i in range(rounds):
            if len(theirs) <= i:
                theirs.append(measured("reference", shared, place))
            ours.append(measured("ours", row, place))
        middle = {
            (side, key): statistics.median(found[key] for found in results)
            for side, results in (("ours", ours), ("reference", theirs))
            for key in ("seconds", "kappa", "peak_mb")
        }
        ratio = middle["reference", "seconds"] / middle["ours", "seconds"]
        cells = [
            what,
            f"{middle['reference', 'seconds']:.1f}",
            f"{middle['ours', 'seconds']:.2f}",
            quoted(ratio, middle["reference", "kappa"], middle["ours", "kappa"]),
            wanted,
            f"{middle['reference', 'kappa']:.3f}",
            f"{middle['ours', 'kappa']:.3f}",
            f"{middle['reference', 'peak_mb']:.0f}",
            f"{middle['ours', 'peak_mb']:.0f}",
            f"{statistics.median(found['logging'] for found in ours):.1%}" if "logging" in ours[0] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def quoted(ratio: float, reference: float, ours: float) -> str:
    """How much faster ours is, which is only a result where ours is at least as accurate and neither is near chance."""
    if reference < CHANCE or ours < CHANCE:
        return "not quoted: accuracy near chance"
    if ours < reference - EQUAL:
        return f"{ratio:.1f} x, not at equal accuracy"
    return f"**{ratio:.1f} x**"


def how(rounds: int) -> str:
    """What the tables have in common."""
    precision = resolve_precision("auto", torch.device("cpu"))
    return (
        f"{describe()}. Ours computes in {precision}, the reference in float32.\n"
        f"harnet10 on the smart-watch windows, {EPOCHS} epochs where nothing else is said; "
        + (f"medians of {rounds}, both sides in turn." if rounds > 1 else "measured once, both sides in turn.")
    )


def trainings(place: Path, rounds: int) -> str:
    """Single trainings, side by side."""
    return (
        f"{how(rounds)}\nBatches of {BATCH}, all training windows, no tracking.\n\n{compare(TRAININGS, rounds, place)}"
    )


def studies(place: Path, rounds: int, every: int) -> str:
    """Whole studies, side by side, and what logging adds to one on all windows."""
    table = compare(STUDIES, rounds, place)
    whole = measured("ours", "whole", place)
    return f"""{how(rounds)}
Batches of {STUDY_BATCH}, one training window in {every}.

{table}

Logging, pictures included, is {whole["logging"]:.1%} of the time of the study of masks on all training windows
({whole["seconds"]:.0f} s, once; wanted 3 %)."""


def of_the_machine(place: Path) -> str:
    """How close a training step comes to what the machine can do."""
    share = measured("ours", "rate", place)
    return f"""{describe()}. Everything tuned, batches of {BATCH}, a training step again and again:
{share["windows_s"]:.0f} windows/s in {resolve_precision("auto", torch.device("cpu"))}, which is
**{share["share"]:.0%}** of the rate of the machine's matrix product in the same precision ({share["product"]:.0f}
GFLOP/s, in the same process; wanted 70 % in bf16). `torch.compile` is not used: {share["compiled_s"]:.0f} windows/s
after {share["compiling"]:.0f} s of compiling."""


def memory(place: Path) -> str:
    """Larger than memory, side by side."""
    tile(place, 300_000, 151)
    most = {side: large(side, place) for side in ("reference", "ours")}
    return f"""{describe()}. 300,000 windows of 30 s, 3.2 GB, harnet30, everything tuned, batches of 64:
{most["reference"]:.0f} MB by the reference, which loads all and splits it by copying, {most["ours"]:.0f} MB by ours:
**{most["ours"] / most["reference"]:.0%}** (wanted 25 %)."""


PARTS: dict[str, tuple[str, Callable[[Path, argparse.Namespace], str]]] = {
    "trainings": ("single trainings", lambda place, options: trainings(place, options.rounds)),
    "studies": ("whole studies", lambda place, options: studies(place, options.rounds, options.every)),
    "rate": ("share of what the machine can do", lambda place, _: of_the_machine(place)),
    "memory": ("data larger than memory", lambda place, _: memory(place)),
}


def main() -> None:
    """Compare, or measure one side of one row and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=4, help="studies learn from one training window in so many")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--side", choices=["ours", "reference"], help=argparse.SUPPRESS)
    parser.add_argument("--row", choices=[*ROWS, *ALONE], help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        row = arguments.row
        found = (ALONE[row] if row in ALONE else ROWS[row][2])(arguments.side, arguments.place)
        found["peak_mb"] = peak_mb()
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make(place, arguments.every)
        for name in arguments.parts:
            title, measure = PARTS[name]
            heading = f"Fine-tuning, {title}: `python benchmarks/surgical.py --parts {name}`"
            write_section(heading, measure(place, arguments))


if __name__ == "__main__":
    main()
