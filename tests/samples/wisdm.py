"""WISDM: both line formats; gaps, repeated and unordered times, a lost end of a line, and other sensors' files."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path) -> None:
    """Write the files as the published archive has them."""
    generator = np.random.default_rng(0)
    (folder / "activity_key.txt").write_text("walking = A\n")
    for subject, timed in ((1600, True), (1601, True), (1602, False), (1609, True)):
        lines = []
        clock = 252_207_666_810_782
        for letter in "ADM":
            acceleration = generator.normal([0, 0, 9.8], 1, (340, 3))
            order = np.arange(340)
            if subject == 1601 and letter == "D":
                order[100:102] = order[101:99:-1]  # out of order
                order[50] = order[49]  # and twice
            for i in order:
                values = ",".join(f"{value:.6f}" for value in acceleration[i])
                time = f"{clock + int(i) * 50_000_000}," if timed else ""
                lines.append(f"{subject},{letter},{time}{values};")
            clock += 600_000_000_000
        text = "\n".join(lines) + "\n"
        path = folder / "raw" / "watch" / "accel" / f"data_{subject}_accel_watch.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text[:-20] if subject == 1609 else text)
    for other in ("phone/accel/data_1600_accel_phone.txt", "watch/gyro/data_1600_gyro_watch.txt"):
        path = folder / "raw" / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1600,A,1,0.0,0.0,0.0;\n")
