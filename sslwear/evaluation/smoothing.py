"""Smoothing of predictions over time with a hidden Markov model.

The hidden state is the activity, and the observation is the network's output for a window. The model has the initial
class probabilities (`initial`), the transition probabilities from window to window (`transition`) and, where it was
fitted to labelled sequences, the probability of each predicted class given the true class (`emission`), as in

    Willetts M, Hollowell S, Aslett L, Holmes C, Doherty A. Statistical machine learning of sleep and physical activity
    phenotypes from sensor data in 96,220 UK Biobank participants. Scientific Reports 2018, 8:7961.

Without an emission matrix the network's probabilities are the observation. They are the likelihood of a window up to a
factor, if all classes have the same prior probability.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sslwear.data.dataset import Dataset
from sslwear.errors import DataError, SettingsError

BOUT_MINUTES = 1.0
"""Default of the expected bout length.

With windows of 10 s and four classes, a single window that disagrees with its neighbours keeps its label when its odds
are above 225 to 1, and two in a row when theirs are above 15 to 1 each. Most bouts of walking in daily life are shorter
than a minute (Orendurff et al. 2008), so an expected length of many minutes would remove real bouts.
"""
PRIOR_COUNT = 1.0
"""Pseudo-count of transitions from each class, spread evenly: a transition that was never seen stays possible."""
STEP_TOLERANCE = 0.1
"""Largest deviation from a step between the starts of two consecutive windows, as a share of the step."""
WHOLE_TOLERANCE = 0.02
"""Deviation of the mean step from the median, as a share, that gaps explain, of starts in whole seconds."""
MIN_CONSECUTIVE_SHARE = 0.5
"""Smallest share of windows that must follow the window before them."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class HiddenMarkovModel:
    """Hidden Markov model of a sequence of activity classes.

    Attributes:
        initial: probability of each class in the first window of a sequence (C,).
        transition: probability of the next window's class (columns) given a class (rows), (C, C).
        emission: probability of a predicted class (columns) given the true class (rows), (C, C); None if the network's
            probabilities are the observation.

    Raises:
        ValueError: when a table has another shape or its rows are not probabilities.
    """

    initial: NDArray[np.float64]
    transition: NDArray[np.float64]
    emission: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        classes = len(self.initial)
        tables = {"transition": self.transition, "emission": self.emission}
        for name, table in {"initial": self.initial[None], **tables}.items():
            if table is None:
                continue
            shape = (1, classes) if name == "initial" else (classes, classes)
            if table.shape != shape or (table < 0).any() or not np.allclose(table.sum(axis=1), 1):
                raise ValueError(f"{name} must have shape {shape} and rows of probabilities, but is {table.tolist()}")

    @classmethod
    def from_bouts(cls, classes: int, window_s: float, bout_s: float) -> Self:
        """Symmetric model with a given expected bout length, and equal probabilities of all other classes after a bout.

        In a Markov chain the length of a bout is geometric with the mean 1 / (1 - stay) windows.

        Args:
            classes: number of classes.
            window_s: length of a window in seconds.
            bout_s: expected length of a bout in seconds.

        Raises:
            SettingsError: when a bout is not longer than a window.
        """
        if not bout_s > window_s:
            raise SettingsError(
                f"--bout: a bout of {bout_s / 60:g} minutes is not longer than a window of {window_s:g} s. Give a "
                "longer bout, or leave --smooth out"
            )
        if classes == 1:
            return cls(np.ones(1), np.ones((1, 1)))
        leave = window_s / bout_s
        transition = np.full((classes, classes), leave / (classes - 1))
        np.fill_diagonal(transition, 1 - leave)
        return cls(np.full(classes, 1 / classes), transition)

    @classmethod
    def fit(
        cls,
        sequences: Iterable[tuple[NDArray[np.integer], NDArray[np.floating]]],
        classes: int,
        prior_count: float = PRIOR_COUNT,
    ) -> Self:
        """Model fitted to labelled sequences.

        Transitions and class frequencies are counted; the emission matrix is the mean of the network's probabilities
        for each true class. The probabilities must be from a network that was not trained on these windows; otherwise
        the emission matrix is too optimistic.

        Args:
            sequences: true classes (n,) and probabilities (n, C) of each sequence without gaps.
            classes: number of classes.
            prior_count: pseudo-count for each class of transitions, starts and windows, spread evenly; 0 for none.
        """
        even = np.full((classes, classes), prior_count / classes)
        initial, transition, emission = even[0].copy(), even.copy(), even.copy()
        for labels, probabilities in sequences:
            np.add.at(transition, (labels[:-1], labels[1:]), 1)
            np.add.at(emission, labels, probabilities)
            np.add.at(initial, labels, 1)
        return cls(*(_normalised(table) for table in (initial, transition, emission)))

    def log_likelihood(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log-likelihood of each window under each class (N, C), up to a constant for each window.

        Args:
            probabilities: the network's class probabilities (N, C).
        """
        with np.errstate(divide="ignore"):
            if self.emission is None:
                return np.log(np.asarray(probabilities, np.float64))
            return np.log(self.emission[:, probabilities.argmax(axis=1)].T)


def _normalised(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of counts as probabilities; a row of zeros becomes uniform."""
    total = counts.sum(axis=-1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(
        counts, total, out=np.full_like(counts, 1 / counts.shape[-1]), where=total > 0
    )
    return shares


def smooth(
    probabilities: NDArray[np.floating], model: HiddenMarkovModel, starts: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Most likely sequence of classes (N,).

    Args:
        probabilities: the network's class probabilities (N, C).
        model: the hidden Markov model.
        starts: whether a window starts a new sequence, after a gap or non-wear time (N,).
    """
    observed = model.log_likelihood(probabilities)
    edges = np.unique(np.concatenate([[0], np.flatnonzero(starts), [len(observed)]]))
    paths = [viterbi(observed[first:last], model) for first, last in pairwise(edges)]
    return np.concatenate([*paths, np.empty(0, np.int64)])


def viterbi(observed: NDArray[np.float64], model: HiddenMarkovModel) -> NDArray[np.int64]:
    """Most likely path (N,) by the Viterbi algorithm in log space; one of them if several are equally likely.

    Args:
        observed: log-likelihood of each window under each class (N, C), the emission matrix included.
        model: gives the initial and transition probabilities.
    """
    count, classes = observed.shape
    path = np.empty(count, np.int64)
    if count == 0:
        return path
    with np.errstate(divide="ignore"):
        score, transition = np.log(model.initial) + observed[0], np.log(model.transition)
    best = np.empty((count, classes), np.int64)
    every = np.arange(classes)
    for i in range(1, count):
        through = score[:, None] + transition
        best[i] = through.argmax(axis=0)
        score = through[best[i], every] + observed[i]
    path[-1] = score.argmax()
    for i in range(count - 1, 0, -1):
        path[i - 1] = best[i, path[i]]
    return path


def sequence_starts(dataset: Dataset, rows: Rows) -> NDArray[np.bool_]:
    """Whether a window does not follow the one before it (n,): it is of another participant or after a gap.

    Args:
        dataset: the data set of the windows.
        rows: indices of the windows (n,), in the data set's order.
    """
    pid, gaps_s = dataset.pid[rows], _seconds_between(dataset.start[rows])
    step_s, same = _step_s(dataset), pid[1:] == pid[:-1]
    off_s = np.abs(gaps_s - step_s)
    follows = same & ((off_s <= STEP_TOLERANCE * step_s) | (_in_whole_seconds(dataset) & (off_s < 1)))
    return np.concatenate([np.ones(min(1, len(rows)), bool), ~follows])


def check_consecutive(dataset: Dataset) -> None:
    """Refuse data sets that smoothing is not valid for.

    Raises:
        DataError: when most windows do not follow another one, or no window follows one of another class. In the second
            case the recordings were cut by their labels, and smoothing would use these cuts.
    """
    rows = np.flatnonzero(dataset.worn)
    starts = sequence_starts(dataset, rows)
    advice = "Leave evaluation.smoothing out, or prepare the recordings without cutting them"
    if np.mean(~starts) < MIN_CONSECUTIVE_SHARE:
        raise DataError(
            f"{dataset.folder}: only {np.mean(~starts):.0%} of the windows start {_step_s(dataset):g} s after the "
            f"window before, too few for smoothing. {advice}"
        )
    labels = dataset.labels[rows]
    if not np.any((labels[1:] != labels[:-1]) & ~starts[1:]):
        raise DataError(
            f"{dataset.folder}: no window follows one of another class. The recordings were cut by their labels, so "
            f"smoothing would leak labels. {advice}"
        )


def check_adjacent(dataset: Dataset) -> None:
    """Refuse data sets that give no transitions from a window to the one beside it.

    Raises:
        DataError: when windows lie further apart than their length, or `check_consecutive` refuses the data set.
    """
    check_consecutive(dataset)
    step_s = _step_s(dataset)
    if dataset.window_s is not None and step_s > dataset.window_s * (1 + STEP_TOLERANCE):
        raise DataError(
            f"{dataset.folder}: windows of {dataset.window_s:g} s start every {step_s:g} s, so that none is beside "
            "another. Prepare the recordings with a smaller --step"
        )


def fit_smoothing(dataset: Dataset, train: Rows, validation: Rows, predicted: NDArray[np.integer]) -> HiddenMarkovModel:
    """Hidden Markov model with transitions of the training participants and emissions of the validation participants.

    Args:
        dataset: the data set of the windows.
        train: indices of the training participants' windows; their labels are used.
        validation: indices of the validation participants' windows (n,).
        predicted: classes (n,) predicted for the validation windows by a model that was not trained on them; on
            training participants a model makes fewer errors than on others.
    """
    classes = np.eye(len(dataset.class_names))
    labels, truth = dataset.labels[train], dataset.labels[validation]
    sequences = ((labels[part], classes[labels[part]]) for part in _slices(sequence_starts(dataset, train)))
    transitions = HiddenMarkovModel.fit(sequences, len(classes))
    emissions = HiddenMarkovModel.fit([(truth, classes[predicted])], len(classes))
    return HiddenMarkovModel(transitions.initial, transitions.transition, emissions.emission)


def fit_adjacent(dataset: Dataset, train: Rows, confusion: NDArray[np.integer]) -> HiddenMarkovModel:
    """Hidden Markov model of windows side by side, as in a prediction, with transitions of the training participants.

    Transitions are counted over the length of a window, also where the windows of the data set overlap.

    Args:
        dataset: the data set of the windows, see `check_adjacent`.
        train: indices of the training participants' windows; their labels are used.
        confusion: number of validation windows by true class (rows) and predicted class (C, C), predicted by models
            that were not trained on them.
    """
    step_s, labels = _step_s(dataset), dataset.labels[train]
    lag = max(1, round((dataset.window_s or step_s) / step_s))
    classes = np.eye(len(dataset.class_names))
    parts = (labels[part][i::lag] for part in _slices(sequence_starts(dataset, train)) for i in range(lag))
    transitions = HiddenMarkovModel.fit(((part, classes[part]) for part in parts), len(classes))
    emission = _normalised(confusion.astype(np.float64) + PRIOR_COUNT / len(classes))
    return HiddenMarkovModel(transitions.initial, transitions.transition, emission)


def smooth_predictions(
    dataset: Dataset, rows: Rows, predicted: NDArray[np.integer], model: HiddenMarkovModel
) -> NDArray[np.int64]:
    """Smoothed classes (n,) of windows.

    Args:
        dataset: the data set of the windows.
        rows: indices of the windows (n,), in the data set's order.
        predicted: predicted classes (n,).
        model: fitted by `fit_smoothing`.
    """
    return smooth(np.eye(len(dataset.class_names))[predicted], model, sequence_starts(dataset, rows))


def _slices(starts: NDArray[np.bool_]) -> Iterator[slice]:
    for first, last in pairwise([*np.flatnonzero(starts), len(starts)]):
        yield slice(first, last)


def _seconds_between(start: NDArray[np.generic]) -> NDArray[np.float64]:
    """Seconds from each window's start to the next one's (n - 1,)."""
    between = np.diff(start)
    if between.dtype.kind == "m":
        between = between / np.timedelta64(1, "s")
    return between.astype(np.float64)


def _step_s(dataset: Dataset) -> float:
    """Seconds between the starts of two consecutive windows: as described in the data set, or else the median.

    Of starts in whole seconds it is the mean of the steps near the median, which are too long or too short.
    """
    if dataset.description.step_s is not None:
        return dataset.description.step_s
    between = _seconds_between(dataset.start)
    between = between[(dataset.pid[1:] == dataset.pid[:-1]) & (between > 0)]
    if len(between) == 0:
        return 1.0
    step_s = float(np.median(between))
    mean_s = float(between[np.abs(between - step_s) <= 1].mean())
    return mean_s if _in_whole_seconds(dataset) and abs(mean_s - step_s) > WHOLE_TOLERANCE * step_s else step_s


def _in_whole_seconds(dataset: Dataset) -> bool:
    """Whether the starts of each participant's windows are whole seconds apart, as of times cut to the second."""
    between = _seconds_between(dataset.start)[dataset.pid[1:] == dataset.pid[:-1]]
    return not (between % 1).any()
