"""ADL: three volunteers of the benchmark and one outside; a trial too short, an empty one, and one kept twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TRIALS = (
    ("climb_stairs", "Climb_stairs", 500),
    ("drink_glass", "Drink_glass", 340),
    ("getup_bed", "Getup_bed", 320),
    ("pour_water", "Pour_water", 330),
    ("pour_water", "Pour_water_MODEL", 330),
    ("walk", "Walk", 1000),
    ("brush_teeth", "Brush_teeth", 640),
    ("walk", "Walk", 319),
)


def write(folder: Path) -> None:
    """Write the files as the published archive has them."""
    generator = np.random.default_rng(0)
    for day, volunteer in enumerate(("f1", "m1", "m2", "f5"), 1):
        for hour, (activity, place, samples) in enumerate(TRIALS, 9):
            at = hour - (place == "Pour_water_MODEL")  # the same trial lies in two folders
            name = f"Accelerometer-2011-03-{day:02}-{at:02}-24-39-{activity}-{volunteer}.txt"
            coded = np.clip(generator.normal([32, 32, 52], 6, (samples, 3)), 0, 63).astype(int)
            write_trial(folder / "HMP_Dataset" / place / name, coded)
    nothing = np.empty((0, 3), int)
    write_trial(folder / "HMP_Dataset" / "Walk" / "Accelerometer-2011-03-09-09-00-00-walk-f1.txt", nothing)
    (folder / "HMP_Dataset" / "README.txt").write_text("read me")
    (folder / "HMP_Dataset" / ".DS_Store").write_text("")


def write_trial(path: Path, coded: np.ndarray) -> None:
    """Write one trial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{x} {y} {z} \n" for x, y, z in coded))
