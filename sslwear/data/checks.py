"""Checks of the arrays of a data set directory, and of the range of acceleration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslwear.data.start_times import parse_starts
from sslwear.errors import DataError

ARRAYS = ("X", "Y", "pid", "T")
DESCRIPTION = "dataset.json"
LARGEST_G = 1000.0
"""Above the range of any wearable accelerometer; numbers that stand for missing samples are often larger."""
CHUNK_SAMPLES = 2**18
MISSING = frozenset(
    [
        "",
        "na",
        "n/a",
        "n.a.",
        "#na",
        "#n/a",
        "<na>",
        "nan",
        "-nan",
        "nat",
        "none",
        "null",
        ".",
        "-",
        "--",
        "?",
        "#value!",
        "#ref!",
    ]
)
"""Texts that stand for a missing value, in lower case: as R, pandas, SAS, spreadsheets and ``astype(str)`` write it."""


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
    if windows.dtype.kind in "iu":
        raise DataError(
            f"{folder / 'X.npy'} holds {windows.dtype} values, which look like raw counts; "
            "convert them to g, as float32"
        )
    if windows.dtype.kind != "f":
        raise DataError(f"{folder / 'X.npy'} holds {windows.dtype} values; save acceleration in g, as float32")
    if windows.shape[0] == 0 or windows.shape[1] < 2:
        raise DataError(
            f"{folder / 'X.npy'} has shape {windows.shape}; there must be a window, of at least two samples"
        )
    lengths = {name: array.shape for name, array in arrays.items()}
    for name in [name for name in arrays if name != "X"]:
        if arrays[name].ndim != 1 or len(arrays[name]) != len(windows):
            raise DataError(
                f"{folder / f'{name}.npy'} has shape {lengths[name]} where X.npy has {len(windows)} windows; "
                "it must have one entry for each window"
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
        if labels.dtype.kind == "i" and (missing := labels == np.iinfo(labels.dtype).min).any():
            raise DataError(_no_label(path, missing, "the smallest integer, which NaN becomes as an integer"))
        if class_names is None:
            if (missing := labels == -1).any() and (labels == 0).any():
                raise DataError(
                    f"{_no_label(path, missing, '-1, which pandas writes where there is no category,')}, or save the "
                    "labels as text if -1 is a class"
                )
            values, indices = np.unique(labels, return_inverse=True)
            return indices.astype(np.int64), tuple(str(value) for value in values)
        if labels.min() < 0 or labels.max() >= len(class_names):
            raise DataError(
                f"{path} has labels from {labels.min()} to {labels.max()} where {DESCRIPTION} names "
                f"{len(class_names)} classes; they must be 0 to {len(class_names) - 1}"
            )
        return labels.astype(np.int64), class_names
    if labels.dtype.kind == "f" and (missing := np.isnan(labels)).any():
        raise DataError(_no_label(path, missing, "NaN"))
    if labels.dtype.kind not in "US":
        raise DataError(f"{path} holds {labels.dtype} labels; save them as strings or integers")
    text = _text(path, labels)
    if (empty := _missing(text) & ~np.isin(text, class_names or ())).any():
        name = repr(str(text[int(empty.argmax())]))
        raise DataError(
            f"{_no_label(path, empty, name)}, or list the name in {DESCRIPTION}'s class_names if it is a class"
        )
    names = class_names if class_names is not None else tuple(str(name) for name in np.unique(text))
    unknown = sorted(set(text.tolist()) - set(names))
    if unknown:
        raise DataError(f"{path} has the label {unknown[0]!r}, which is not among {DESCRIPTION}'s class_names")
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[label] for label in text.tolist()], np.int64), names


def _no_label(path: Path, missing: NDArray[np.bool_], written: str) -> str:
    """Message about windows without a label: how many they are, and how it is written that there is none."""
    return (
        f"{path} has no label for {int(missing.sum())} windows, first {written} for window {int(missing.argmax())}; "
        "drop these windows from all arrays"
    )


def participants_of(path: Path, pid: NDArray[Any]) -> NDArray[Any]:
    """Return participants (N,) as strings or numbers.

    Raises:
        DataError: when they have another type, or one is missing.
    """
    if pid.dtype.kind == "f":
        missing = ~np.isfinite(pid)
    elif pid.dtype.kind in "US":
        pid = _text(path, pid)
        missing = _missing(pid)
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
    """Return start times (N,) as datetime64 or as seconds.

    Raises:
        DataError: when they have another type, one is missing, or a text is neither a time nor seconds.
    """
    if start.dtype.kind in "US":
        start = _text(path, start)
        missing = _missing(start)
    elif start.dtype.kind == "M":
        missing = np.isnat(start)
    elif start.dtype.kind in "iuf":
        missing = ~np.isfinite(start)
    else:
        raise DataError(f"{path} holds {start.dtype} start times; save them as datetime64 or as seconds")
    if missing.any():
        raise DataError(f"{path} has no start time for window {int(missing.argmax())}; fill it in or drop such windows")
    if start.dtype.kind == "U":
        return parse_starts(path, start)
    return start.astype(np.float64) if start.dtype.kind == "u" else start  # differences of unsigned integers wrap


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


def is_missing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return text.strip().lower() in MISSING


def _missing(text: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether each text stands for a missing value."""
    names, inverse = np.unique(text, return_inverse=True)
    return np.array([is_missing(str(name)) for name in names])[inverse]
