"""Source to data set directory: what is shared by all sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslwear.data.dataset import Dataset, Description, open_dataset, write_dataset
from sslwear.data.sources.base import Source
from sslwear.data.sources.base import find as find_sources
from sslwear.data.windows import cut, resample
from sslwear.errors import DataError

RATE_HZ = 30.0
WINDOW_S = 10.0
STEP_S = 5.0


def prepare(
    source: Source, folder: Path, rate_hz: float = RATE_HZ, window_s: float = WINDOW_S, step_s: float = STEP_S
) -> None:
    """Write a source's recordings as a data set directory of windows.

    Args:
        source: where the recordings come from.
        folder: the directory to make; one that is there is left as it is.
        rate_hz: samples per second that the encoder wants.
        window_s: length of a window, in seconds.
        step_s: distance between the starts of windows, in seconds.

    Raises:
        DataError: when the source cannot be read or gives no window.
    """
    windows, labels, pid, start = [], [], [], []
    for recording in source.recordings():
        pieces, seconds = cut(resample(recording.samples, recording.rate_hz, rate_hz), rate_hz, window_s, step_s)
        windows.append(pieces)
        start.append(seconds)
        labels += [recording.label] * len(pieces)
        pid += [recording.participant] * len(pieces)
    if not windows:
        raise DataError(f"{source.name}: there is no recording to prepare")
    description = Description(
        name=source.name,
        rate_hz=rate_hz,
        window_s=window_s,
        step_s=step_s,
        class_names=source.class_names,
        source=source.title,
        licence=source.licence,
        citation=source.citation,
    )
    write_dataset(folder, np.concatenate(windows), np.array(labels), np.array(pid), np.concatenate(start), description)


def open_data(data: str, home: Path) -> Dataset:
    """Open what a study file's ``data:`` names: a source that needs no raw files, or a data set directory.

    Args:
        data: a source's name or the path of a directory.
        home: the store's folder; a source's windows are prepared below it, once.

    Raises:
        DataError: when it is neither, or cannot be used.
    """
    found = find_sources()
    if data in found:
        folder = home / "datasets" / f"{data}-{RATE_HZ:g}hz-{WINDOW_S:g}s-{STEP_S:g}s"
        if not folder.is_dir():
            prepare(found[data](), folder)
        return open_dataset(folder)
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"data: {data!r} is neither a directory nor a source; give the path of a data set directory or one of: "
            f"{', '.join(found)}"
        )
    return open_dataset(folder)
