"""Hidden Markov model over a recording's windows: the likeliest sequence of classes, given what a network says of each.

Hidden is what somebody does, observed is the network's output. A chain holds how likely each class is at first
(`initial`), how likely one class follows another from window to window (`transition`), and, where it was learnt from
labelled sequences, how likely the network is to predict a class when another is true (`emission`), as in

    Willetts M, Hollowell S, Aslett L, Holmes C, Doherty A. Statistical machine learning of sleep and physical activity
    phenotypes from sensor data in 96,220 UK Biobank participants. Scientific Reports 2018, 8:7961.

Without an emission matrix the network's probabilities themselves are what is observed: they are the likelihood of a
window up to a factor, when all classes are equally likely before it is seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sslwear.errors import SettingsError

BOUT_MINUTES = 1.0
"""How long one lasts at one thing, unless the user says otherwise.

With windows of 10 s and four classes a single window that disagrees with its neighbours then keeps its label when its
odds are above 225 to 1, and two in a row when theirs are above 15 to 1 each. Most bouts of walking in daily life are
shorter than a minute (Orendurff et al. 2008): an expectation of many minutes would smooth real ones away.
"""
PRIOR_COUNT = 1.0
"""So many transitions from each class are added, spread evenly: one never seen is unlikely and not impossible."""


@dataclass(frozen=True)
class Chain:
    """How classes follow each other.

    Attributes:
        initial: probability of each class in the first window of a stretch (C,).
        transition: probability of the next window's class (columns) after a class (rows), (C, C).
        emission: probability that a class is predicted (columns) where one is true (rows), (C, C); None when the
            network's probabilities are the evidence.
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
            wanted = (1, classes) if name == "initial" else (classes, classes)
            if table.shape != wanted or (table < 0).any() or not np.allclose(table.sum(axis=1), 1):
                raise ValueError(f"{name} must have shape {wanted} and rows of probabilities, but is {table.tolist()}")

    @classmethod
    def from_bouts(cls, classes: int, window_s: float, bout_s: float) -> Self:
        """A symmetric chain: one stays at anything for so long on average, and then goes on to any other alike.

        In a Markov chain the length of a stay is geometric with the mean 1 / (1 - stay) windows.

        Args:
            classes: how many there are.
            window_s: length of a window in seconds.
            bout_s: expected length of a bout in seconds.

        Raises:
            SettingsError: when a bout is not longer than a window.
        """
        if not bout_s > window_s:
            raise SettingsError(
                f"--bout: {bout_s / 60:g} minutes are not more than a window of {window_s:g} s, so there is nothing to "
                "smooth; give a longer bout, or leave --smooth out"
            )
        if classes == 1:
            return cls(np.ones(1), np.ones((1, 1)))
        leave = window_s / bout_s
        transition = np.full((classes, classes), leave / (classes - 1))
        np.fill_diagonal(transition, 1 - leave)
        return cls(np.full(classes, 1 / classes), transition)

    @classmethod
    def learn(
        cls,
        sequences: Iterable[tuple[NDArray[np.integer], NDArray[np.floating]]],
        classes: int,
        prior_count: float = PRIOR_COUNT,
    ) -> Self:
        """Learn all three tables from labelled sequences, such as those of the training participants.

        Transitions are counted, and how often each class occurs, for the start; emission is the mean of the network's
        probabilities where a class is true. They must be of a network that did not learn from these windows, or it
        looks better than it is.

        Args:
            sequences: for each stretch without gaps, the true classes (n,) and the probabilities (n, C).
            classes: how many there are.
            prior_count: transitions, starts and windows that are added to each class, spread evenly; 0 for none.
        """
        even = np.full((classes, classes), prior_count / classes)
        initial, transition, emission = even[0].copy(), even.copy(), even.copy()
        for labels, probabilities in sequences:
            np.add.at(transition, (labels[:-1], labels[1:]), 1)
            np.add.at(emission, labels, probabilities)
            np.add.at(initial, labels, 1)
        return cls(*(_rows(table) for table in (initial, transition, emission)))

    def evidence(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log-likelihood of each window under each class (N, C), up to a constant for each window."""
        with np.errstate(divide="ignore"):
            if self.emission is None:
                return np.log(np.asarray(probabilities, np.float64))
            return np.log(self.emission[:, probabilities.argmax(axis=1)].T)


def _rows(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts as probabilities; a class that never occurred could be followed by any."""
    total = counts.sum(axis=-1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(
        counts, total, out=np.full_like(counts, 1 / counts.shape[-1]), where=total > 0
    )
    return shares


def smooth(probabilities: NDArray[np.floating], chain: Chain, begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The likeliest classes (N,) of windows.

    Args:
        probabilities: the network's (N, C).
        chain: how classes follow each other.
        begins: whether a window does not follow the one before it, after a gap or time not worn (N,): the chain starts
            anew there.
    """
    evidence = chain.evidence(probabilities)
    edges = np.unique(np.concatenate([[0], np.flatnonzero(begins), [len(evidence)]]))
    found = [viterbi(evidence[first:last], chain) for first, last in pairwise(edges)]
    return np.concatenate([*found, np.empty(0, np.int64)])


def viterbi(evidence: NDArray[np.float64], chain: Chain) -> NDArray[np.int64]:
    """The likeliest path (N,) through a chain, in log space; of several as likely, one.

    Args:
        evidence: log-likelihood of each window under each class (N, C).
        chain: the chain; its emission is in `evidence` already.
    """
    count, classes = evidence.shape
    path = np.empty(count, np.int64)
    if count == 0:
        return path
    with np.errstate(divide="ignore"):
        score, transition = np.log(chain.initial) + evidence[0], np.log(chain.transition)
    best = np.empty((count, classes), np.int64)
    every = np.arange(classes)
    for i in range(1, count):
        through = score[:, None] + transition
        best[i] = through.argmax(axis=0)
        score = through[best[i], every] + evidence[i]
    path[-1] = score.argmax()
    for i in range(count - 1, 0, -1):
        path[i - 1] = best[i, path[i]]
    return path
