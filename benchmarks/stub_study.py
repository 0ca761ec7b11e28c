"""Stores and the study file of benchmarks with stub trials, see `stub_worker.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from machine import ROOT, new_store

sys.path.insert(0, str(ROOT))

from deploy.throwaway import MissingError, Postgres
from sslwear.data.arrays import Description, write_dataset
from sslwear.tracking import Store

STUB = ROOT / "benchmarks" / "stub_worker.py"


@contextmanager
def kinds(folder: Path) -> Iterator[dict[str, Callable[[], Store]]]:
    """Functions that make a new store, by kind of database."""
    count = iter(range(10**6))

    def home() -> Path:
        place = folder / f"home-{next(count)}"
        place.mkdir()
        return place

    def sqlite() -> Store:
        return new_store(home())

    try:
        server = Postgres()
    except MissingError as missing:
        print(f"PostgreSQL is left out: {missing}\n")
        yield {"SQLite": sqlite}
        return

    def postgres() -> Store:
        place = home()
        return new_store(place, server.database(place.name.replace("-", "_")))

    with server:
        yield {"SQLite": sqlite, "PostgreSQL": postgres}


def study_file(folder: Path) -> Path:
    """A study file on a few artificial windows."""
    generator, count = np.random.default_rng(0), 120
    names = np.array(["sit", "walk"])[np.arange(count) % 2]
    pid = np.repeat(np.arange(6), count // 6)
    windows = generator.normal([0, 0, 1], 0.1, (count, 150, 3)).astype(np.float32)
    start = np.tile(np.arange(count // 6) * 5.0, 6)
    description = Description(name="stub", source="stub", rate_hz=30, window_s=5, step_s=5, class_names=("sit", "walk"))
    write_dataset(folder / "data", windows, names, pid, start.astype("datetime64[s]"), description)
    (folder / "stub.yaml").write_text(
        f"study: stub\ndata: {folder / 'data'}\nencoder: cnn5\nsplit: {{test: 0.2, validation: 0.25}}\n"
        "training: {tuning: head, learning_rate: 1e-3, max_epochs: 1}\npruner: {name: none}\n"
        "search: {learning_rate: {low: 1e-4, high: 1e-2, log: true}, tuning: [head, layer5]}\n"
    )
    return folder / "stub.yaml"
