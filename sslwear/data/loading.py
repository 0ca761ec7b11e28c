"""Opening of data by path or by name of a source, as a study file's ``data:`` and ``pretraining.data:`` give it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sslwear.data import unfinished
from sslwear.data.arrays import take_name
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.prepare import RATE_HZ, prepare
from sslwear.data.shards import Shards, open_shards
from sslwear.data.sources.base import Source
from sslwear.data.sources.base import find as find_sources
from sslwear.errors import DataError
from sslwear.utils.paths import is_folder, user_path

WAIT_S = 600.0
"""Seconds that a study waits for another study that prepares the same windows."""


def open_data(data: str, home: Path) -> Dataset:
    """Open a data set directory, or a source whose recordings are part of the installation.

    Args:
        data: path of a directory, or name of a source.
        home: the store's folder, below which windows of a source are prepared once,
            and again when their files are damaged.

    Raises:
        DataError: when it is neither, or cannot be used.
    """
    source = _source_called(data)
    if source is not None:
        if not source.embedded:
            raise DataError(
                f"data: {data} must be prepared first, with: sslwear data prepare {data} --raw PATH --out DIR; "
                "then give DIR"
            )
        folder = home / "datasets" / f"{data}-{RATE_HZ:g}hz-{source.window_s:g}s-{source.step_s:g}s"
        if not folder.is_dir():
            prepare(source(), folder, wait_s=WAIT_S)
        return _open_prepared(source(), folder)
    folder = user_path(data)
    if not is_folder(folder):
        embedded = ", ".join(name for name, source in find_sources().items() if source.embedded)
        start = "" if folder.is_absolute() else f", from {Path.cwd()}"
        raise DataError(
            f"data: {data!r} is neither a directory nor a source with included recordings; give the path of a data set "
            f"directory{start}, or one of: {embedded}"
        )
    return open_dataset(folder)


def _source_called(data: str) -> type[Source] | None:
    """The source with this name, or None; a directory with the name of a source that must be prepared goes first."""
    source = find_sources().get(data)
    return None if source is None or (not source.embedded and is_folder(user_path(data))) else source


def _open_prepared(source: Source, folder: Path) -> Dataset:
    """Open windows of a source with included recordings; damaged ones are prepared again, and a warning says so."""
    try:
        return open_dataset(folder)
    except DataError:
        fresh = folder.with_name(f".{folder.name}.again")
        with unfinished.locked(fresh, folder, WAIT_S):
            try:
                return open_dataset(folder)  # another process has prepared them meanwhile
            except DataError:
                prepare(source, fresh, wait_s=WAIT_S)  # before the others are removed, in case it fails
                unfinished.remove(folder)
                take_name(fresh, folder)
    dataset = open_dataset(folder)
    warning = f"{folder} was damaged, and was prepared again from the recordings that come with the installation"
    return dataclasses.replace(dataset, warnings=(*dataset.warnings, warning))


def open_windows(data: str, home: Path) -> Dataset | Shards:
    """Open a data set directory, a directory of unlabelled shards, or a source with included recordings.

    Args:
        data: path of a directory, or name of a source.
        home: the store's folder, below which windows of a source are prepared once.

    Raises:
        DataError: when it is none of these, or cannot be used.
    """
    folder = user_path(data)
    if _source_called(data) is None and is_folder(folder) and not any(folder.glob("*.npy")):
        return open_shards(folder)
    return open_data(data, home)
