"""RealWorld: zip files within, parts of activities, jittered, repeated and swapped times, a gap, an empty file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

ACTIVITIES = ("walking", "sitting", "climbingup")


def write(folder: Path) -> None:
    """Write the files as the published archive has them."""
    for proband in (1, 2, 10):
        for activity in ACTIVITIES:
            parts = ("_1", "_2") if activity == "climbingup" else ("",)
            tables = {f"acc_{activity}{part}_forearm.csv": table(proband + i) for i, part in enumerate(parts)}
            if proband == 10 and activity == "sitting":
                tables = {"acc_sitting_forearm.csv": "id,attr_time,attr_x,attr_y,attr_z\n"}
            tables |= {name.replace("forearm", "chest"): "not to be read" for name in tables}
            path = folder / f"proband{proband}" / "data" / f"acc_{activity}_csv.zip"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed({**tables, "readMe": "read me"}))
        other = packed({"gyr_walking_forearm.csv": "not to be read"})
        (folder / f"proband{proband}" / "data" / "gyr_walking_csv.zip").write_bytes(other)


def packed(files: dict[str, str]) -> bytes:
    """A zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def table(seed: int, seconds: float = 17) -> str:
    """Some seconds at about 50 Hz."""
    generator = np.random.default_rng(seed)
    samples = int(seconds * 50)
    time = 1_435_993_119_000 + np.arange(samples) * 20 + generator.integers(-5, 6, samples)
    values = generator.normal([0, 0, 9.8], 1, (samples, 3))
    order = np.arange(samples)
    if seed == 2:
        order = np.concatenate([order[:300], [299, 301, 300], order[400:]])  # repeated, swapped, and a gap of 2 s
    rows = (f"{i + 1},{time[i]},{','.join(f'{value:.6f}' for value in values[i])}" for i in order)
    return "\n".join(["id,attr_time,attr_x,attr_y,attr_z", *rows]) + "\n"
