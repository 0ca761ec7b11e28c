"""OPPORTUNITY: lost samples, a gap, repeated and unordered times, a line cut short, runs without data and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLUMNS = 250


def write(folder: Path) -> None:
    """Write the files as the published archive has them."""
    place = folder / "OpportunityUCIDataset" / "dataset"
    place.mkdir(parents=True)
    for subject in range(1, 5):
        lines = run([0] if subject == 4 else [1, 2, 0, 5], seed=subject)
        if subject == 2:
            lines[100], lines[101] = lines[101], lines[100]
            lines.insert(50, lines[50])
            del lines[700:760]
        if subject == 3:
            lines[-1] = lines[-1][:40]
        write_lines(place / f"S{subject}-ADL1.dat", lines)
    write_lines(place / "S1-Drill.dat", run([4], seed=9))
    (place / "S1-ADL2.dat").write_text("")
    (place / "column_names.txt").write_text("Column: 1 MILLISEC\n")


def run(locomotion: list[int], seed: int = 0, seconds: int = 12) -> list[str]:
    """Some seconds of each mode of locomotion: 250 numbers a line, NaN where lost."""
    generator = np.random.default_rng(seed)
    lines = []
    for i in range(len(locomotion) * seconds * 30):
        values = generator.integers(-200, 200, COLUMNS).astype(str)
        x, y, z = np.array([0, 0, 1000]) + generator.integers(-100, 100, 3)
        values[63:66] = ["NaN"] * 3 if i % 97 == 3 else [str(x), str(y), str(z)]
        values[0] = str(round(i * 1000 / 30))
        values[243] = str(locomotion[i // (seconds * 30)])
        lines.append(" ".join(values))
    return lines


def write_lines(path: Path, lines: list[str]) -> None:
    """Write one file."""
    path.write_text("\n".join(lines) + "\n")
