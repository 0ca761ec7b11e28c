"""Which windows of a data set follow each other, and predictions of them smoothed over time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sslwear.data.dataset import Dataset
from sslwear.errors import DataError
from sslwear.evaluation.smoothing import Chain, smooth

TOLERANCE = 0.1
"""A window follows another when it starts a step later, give or take this share of a step."""
ENOUGH = 0.5
"""Share of the windows that have to follow the one before them."""

Rows = NDArray[np.int64]


def begins(dataset: Dataset, rows: Rows) -> NDArray[np.bool_]:
    """Whether a window does not follow the one before it (n,): another participant, or a gap.

    Args:
        dataset: whose windows.
        rows: indices of some of them (n,), in the data set's order.
    """
    pid, later = dataset.pid[rows], _seconds(dataset.start[rows])
    step, same = _step_s(dataset), pid[1:] == pid[:-1]
    follows = same & (np.abs(later - step) <= TOLERANCE * step)
    return np.concatenate([np.ones(min(1, len(rows)), bool), ~follows])


def check_consecutive(dataset: Dataset) -> None:
    """Refuse windows that time says little of.

    Raises:
        DataError: when most windows do not follow another, or nobody ever goes from one class to another, because the
            recordings were cut by their labels, which smoothing would then know.
    """
    rows = np.flatnonzero(dataset.worn)
    new = begins(dataset, rows)
    mend = "leave evaluation.smoothing out, or prepare the recordings without cutting them"
    if np.mean(~new) < ENOUGH:
        raise DataError(
            f"{dataset.folder}: only {np.mean(~new):.0%} of the windows start a step of {_step_s(dataset):g} s after "
            f"the one before, so that there is little to smooth over; {mend}"
        )
    labels = dataset.labels[rows]
    if not np.any((labels[1:] != labels[:-1]) & ~new[1:]):
        raise DataError(
            f"{dataset.folder}: no window follows one of another class, so the recordings were cut by their labels, "
            f"which smoothing would give away; {mend}"
        )


def learn(dataset: Dataset, train: Rows, validation: Rows, predicted: NDArray[np.integer]) -> Chain:
    """Learn how classes follow each other from the training participants, and how they are mistaken from others.

    Args:
        dataset: whose windows.
        train: indices of the training participants' windows, whose labels are looked at.
        validation: indices of the validation participants' windows (n,).
        predicted: classes (n,) predicted for these, of whom the method learnt nothing: of its own training participants
            it knows more than of anybody else.
    """
    classes = np.eye(len(dataset.class_names))
    labels, truth = dataset.labels[train], dataset.labels[validation]
    stretches = ((labels[part], classes[labels[part]]) for part in _stretches(begins(dataset, train)))
    order = Chain.learn(stretches, len(classes))
    mistakes = Chain.learn([(truth, classes[predicted])], len(classes))
    return Chain(order.initial, order.transition, mistakes.emission)


def smoothed(dataset: Dataset, rows: Rows, predicted: NDArray[np.integer], chain: Chain) -> NDArray[np.int64]:
    """The likeliest classes (n,) of windows, given the predicted ones (n,) and a chain from `learn`."""
    return smooth(np.eye(len(dataset.class_names))[predicted], chain, begins(dataset, rows))


def _stretches(new: NDArray[np.bool_]) -> Iterator[slice]:
    for first, last in pairwise([*np.flatnonzero(new), len(new)]):
        yield slice(first, last)


def _seconds(start: NDArray[np.generic]) -> NDArray[np.float64]:
    """How much later each window starts than the one before it (n - 1,)."""
    later = np.diff(start)
    if later.dtype.kind == "m":
        later = later / np.timedelta64(1, "s")
    return later.astype(np.float64)


def _step_s(dataset: Dataset) -> float:
    """From one window's start to the next one's: as the data set says, or else as most windows do."""
    if dataset.description.step_s is not None:
        return dataset.description.step_s
    later = _seconds(dataset.start)
    later = later[(dataset.pid[1:] == dataset.pid[:-1]) & (later > 0)]
    return float(np.median(later)) if len(later) else 1.0
