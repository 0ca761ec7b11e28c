"""PAMAP2: lost samples, repeated and unordered times, a line cut short, and a subject of transient activities."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLUMNS = 54


def write(folder: Path) -> None:
    """Write the files as the published archive has them."""
    for subject in (101, 102, 103, 104, 109):
        activities = [0] if subject == 104 else [1, 0, 4, 24]
        lines = trial(activities, seed=subject)
        if subject == 102:
            lines[100], lines[101] = lines[101], lines[100]
            lines.insert(50, lines[50])
        if subject == 103:
            lines[-1] = lines[-1][:15]
        write_lines(folder / "PAMAP2_Dataset" / "Protocol" / f"subject{subject}.dat", lines)
    write_lines(folder / "PAMAP2_Dataset" / "Optional" / "subject101.dat", trial([9, 20], seed=7))


def trial(activities: list[int], seed: int = 0, seconds: int = 12) -> list[str]:
    """Some seconds of each activity: time, activity, heart rate, then 51 sensor columns, NaN where lost."""
    generator = np.random.default_rng(seed)
    lines = []
    for i in range(len(activities) * seconds * 100):
        values = generator.normal(0, 1, COLUMNS - 3)
        values[1:4] += [0, 0, 9.8]
        text = ["NaN"] * len(values) if i % 97 == 3 else [f"{value:.5f}" for value in values]
        rate = "104" if i % 11 == 0 else "NaN"
        lines.append(f"{8.38 + i / 100:.2f} {activities[i // (seconds * 100)]} {rate} {' '.join(text)}")
    return lines


def write_lines(path: Path, lines: list[str]) -> None:
    """Write one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
