"""Checks of the arrays of a data set directory, and of the unit and range of acceleration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.errors import DataError

ARRAYS = ("X", "Y", "pid", "T")
DESCRIPTION = "dataset.json"
GRAVITY_G = (0.5, 2.0)
"""Range of the median length of acceleration in g; it is close to 1 g in any long recording."""
MOST_G = 4.0
"""Largest median for one participant, who may have only a few windows, of running."""
LARGEST_G = 1000.0
"""Above the range of any wearable accelerometer; numbers that stand for missing samples are often larger."""
CHUNK_SAMPLES = 2**18


def check_shapes(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse windows that are not (N, samples, 3) of floating point, and other arrays that are not (N,).

    Raises:
        DataError: with the file and its shape.
    """
    windows = arrays["X"]
    if windows.ndim != 3 or windows.shape[2] != 3:
        hint = "; move the axes last, X.transpose(0, 2, 1)" if windows.ndim == 3 and windows.shape[1] == 3 else ""
        raise DataError(
            f"{folder / 'X.npy'} has shape {windows.shape}; it must be (windows, samples, 3), with the axes x, y, z"
            + hint
        )
    if windows.dtype.kind != "f":
        raise DataError(
            f"{folder / 'X.npy'} holds {windows.dtype} values, which look like raw counts; "
            "convert them to g, as float32"
        )
    lengths = {name: array.shape for name, array in arrays.items()}
    for name in [name for name in arrays if name != "X"]:
        if arrays[name].ndim != 1 or len(arrays[name]) != len(windows):
            raise DataError(
                f"{folder / f'{name}.npy'} has shape {lengths[name]} where X.npy has {len(windows)} windows; "
                "it must have one entry for each window"
            )
    if windows.shape[0] == 0 or windows.shape[1] < 2:
        raise DataError(
            f"{folder / 'X.npy'} has shape {windows.shape}; there must be a window, of at least two samples"
        )


def check_finite(path: Path, first: int, windows: NDArray[np.floating]) -> None:
    """Refuse NaN and infinite samples in windows (n, samples, 3), of which the first has the index `first`.

    Raises:
        DataError: with the first such window.
    """
    bad = ~np.isfinite(windows).all(axis=(1, 2))
    if bad.any():
        raise DataError(
            f"{path} has NaN or infinite samples, first in window {first + int(bad.argmax())}; "
            "drop such windows or fill them before saving"
        )


def first_large(first: int, windows: NDArray[np.floating]) -> int | None:
    """Index of the first window with a sample above LARGEST_G, or None; for `first` see `check_finite`."""
    large = (np.abs(windows) > LARGEST_G).any(axis=(1, 2))
    return first + int(large.argmax()) if large.any() else None


def check_large(path: Path, found: int | None) -> None:
    """Refuse samples above LARGEST_G, by the index of the first window with one.

    Raises:
        DataError: with that window.
    """
    if found is not None:
        raise DataError(
            f"{path} has samples of more than {LARGEST_G:g}, first in window {found}, which cannot be in g; remove "
            "such windows, or fill in missing samples"
        )


def check_units(path: Path, medians: NDArray[np.floating], pid: NDArray[Any]) -> None:
    """Refuse acceleration that cannot be in g, by the median length in some windows (n,) of participants (n,).

    Raises:
        DataError: with the probable unit, and the participant when only one is wrong.
    """
    check_unit(path, float(np.median(medians)))
    for participant in np.unique(pid):
        median = float(np.median(medians[pid == participant])) if (pid == participant).any() else 0.0
        if median > MOST_G:
            check_unit(path, median, f" of participant {participant}")


def check_unit(path: Path, median: float, owner: str = "") -> None:
    """Refuse acceleration that cannot be in g, by the median of its length.

    Args:
        path: the file, for the message.
        median: median length of the acceleration.
        owner: words that name a participant, for the message.

    Raises:
        DataError: with the probable unit.
    """
    low, high = GRAVITY_G
    if low <= median <= high:
        return
    if 7 <= median <= 13:
        guess = "looks like m/s^2: divide by 9.80665"
    elif median > high:
        guess = "looks like raw counts: convert them with the device's scale"
    else:
        guess = "looks like another unit, or like acceleration without gravity: give acceleration with gravity, in g"
    raise DataError(
        f"{path} cannot be in g: the median length of its acceleration{owner} is {median:.4g}, which {guess}"
    )


def check_range(where: object, samples: NDArray[np.floating], before: int = 0) -> None:
    """Refuse acceleration above LARGEST_G, which no accelerometer measures; samples that are not finite are gaps.

    Args:
        where: file or participant, for the message.
        samples: acceleration (n, 3) in g.
        before: number of samples before these.

    Raises:
        DataError: with the first such sample.
    """
    for first in range(0, len(samples), CHUNK_SAMPLES):
        chunk = samples[first : first + CHUNK_SAMPLES]
        invalid = (np.isfinite(chunk) & (np.abs(chunk) > LARGEST_G)).any(axis=1)
        if invalid.any():
            row = int(invalid.argmax())
            values = ", ".join(f"{value:.4g}" for value in chunk[row])
            raise DataError(
                f"{where} has the sample {values} g, number {before + first + row + 1}, which no accelerometer "
                "measures; remove it, or get the file again"
            )


def labels_of(
    path: Path, labels: NDArray[Any], class_names: tuple[str, ...] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return class indices (N,) and names; integer labels are indices of `class_names` where these are given.

    Raises:
        DataError: when labels have another type, are missing, or are not among the names.
    """
    if labels.dtype.kind in "iu":
        if class_names is None:
            values, indices = np.unique(labels, return_inverse=True)
            return indices.astype(np.int64), tuple(str(value) for value in values)
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise DataError(
                f"{path} has labels from {labels.min()} to {labels.max()} where {DESCRIPTION} names "
                f"{len(class_names)} classes; they must be 0 to {len(class_names) - 1}"
            )
        return labels.astype(np.int64), class_names
    if labels.dtype.kind not in "US":
        raise DataError(f"{path} holds {labels.dtype} labels; save them as strings or integers")
    text = _text(path, labels)
    if (empty := _is_missing(text)).any():
        first = int(empty.argmax())
        raise DataError(
            f"{path} has the empty label {text[first]!r}, first at window {first}; label or drop such windows"
        )
    names = class_names if class_names is not None else tuple(str(name) for name in np.unique(text))
    unknown = sorted(set(text.tolist()) - set(names))
    if unknown:
        raise DataError(f"{path} has the label {unknown[0]!r}, which is not among {DESCRIPTION}'s class_names")
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[label] for label in text.tolist()], np.int64), names


def participants_of(path: Path, pid: NDArray[Any]) -> NDArray[Any]:
    """Return participants (N,) as strings or numbers.

    Raises:
        DataError: when they have another type, or one is missing.
    """
    if pid.dtype.kind == "f":
        missing = ~np.isfinite(pid)
    elif pid.dtype.kind in "US":
        pid = _text(path, pid)
        missing = _is_missing(pid) | (np.char.lower(np.char.strip(pid)) == "none")
    elif pid.dtype.kind in "iu":
        return pid
    else:
        raise DataError(f"{path} holds {pid.dtype} participants; save them as strings or integers")
    if missing.any():
        raise DataError(
            f"{path} has no participant for {int(missing.sum())} windows, first for window {int(missing.argmax())}; "
            "name the participant or drop such windows"
        )
    return pid


def starts_of(path: Path, start: NDArray[Any]) -> NDArray[Any]:
    """Return start times (N,) as datetime64, numbers or strings.

    Raises:
        DataError: when they have another type, or one is missing.
    """
    if start.dtype.kind in "US":
        start = _text(path, start)
        missing = _is_missing(start) | (np.char.lower(np.char.strip(start)) == "nat")
    elif start.dtype.kind == "M":
        missing = np.isnat(start)
    elif start.dtype.kind in "iuf":
        missing = ~np.isfinite(start)
    else:
        raise DataError(f"{path} holds {start.dtype} start times; save them as datetime64 or as seconds")
    if missing.any():
        raise DataError(f"{path} has no start time for window {int(missing.argmax())}; fill it in or drop such windows")
    return start


def worn_of(path: Path, worn: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether the device was worn, for each window (N,).

    Raises:
        DataError: when the array is not of booleans.
    """
    if worn.dtype.kind != "b":
        raise DataError(f"{path} holds {worn.dtype} values; save it as booleans, true where the device was worn")
    return worn


def _text(path: Path, values: NDArray[Any]) -> NDArray[np.str_]:
    """Strings unchanged, and bytes decoded as UTF-8."""
    if values.dtype.kind == "U":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} holds bytes that are not UTF-8 text; save them as strings") from error


def _is_missing(text: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether each text stands for a missing value."""
    return np.isin(np.char.lower(np.char.strip(text)), ["", "nan", "<na>"])
