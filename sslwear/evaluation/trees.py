"""Ensembles of decision trees on hand-crafted features."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from sslwear.data.arrays import release
from sslwear.data.participant import RATE_HZ
from sslwear.encoders.trees import Trees
from sslwear.encoders.window_features import feature_names, features
from sslwear.training import Windows

BATCH = 2048
"""Windows that are read at a time."""


def tree_probabilities(
    trees: RandomForestClassifier | ExtraTreesClassifier,
    train: Windows,
    validation: Windows,
    test: Windows,
    classes: int,
) -> NDArray[np.float64]:
    """Fit trees to training and validation windows together, which need no validation, and predict test windows.

    Class weights give every class the same total weight. The result does not depend on the number of cores.

    Args:
        trees: trees with their seed, not fitted.
        train: windows to learn from.
        validation: more windows to learn from; those that are among `train` count once.
        test: windows to classify.
        classes: size of the label set.

    Returns:
        Class probabilities (n, classes); 0 for classes without windows to learn from.
    """
    more = replace(validation, rows=validation.rows[~np.isin(validation.rows, train.rows)])
    _fit(
        trees,
        np.concatenate([features_of(train), features_of(more)]),
        np.concatenate([train.labels, more.labels]),
        classes,
    )
    trees.set_params(n_jobs=1)  # threads sum the trees in random order, and rounding could decide a tie
    found = np.zeros((len(test), classes))
    found[:, trees.classes_] = trees.predict_proba(features_of(test))
    return found


def fitted_trees(
    trees: RandomForestClassifier | ExtraTreesClassifier, windows: Windows, samples: int, classes: int
) -> Trees:
    """Fit trees as `tree_probabilities` does to windows that are resampled to `samples`, for promotion."""
    _fit(trees, features_of(windows, samples), windows.labels, classes)
    return Trees.of(trees, classes, window_rate(windows, samples))


def _fit(
    trees: RandomForestClassifier | ExtraTreesClassifier,
    inputs: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: int,
) -> None:
    counts = np.bincount(labels, minlength=classes)
    weights = {code: len(labels) / (classes * count) for code, count in enumerate(counts) if count}
    trees.set_params(class_weight=weights, n_jobs=joblib.cpu_count())
    trees.fit(inputs, labels)


def features_of(windows: Windows, samples: int | None = None) -> NDArray[np.float64]:
    """Features (n, F) of windows in the order of `feature_names`; the windows are read in parts.

    Args:
        windows: the windows.
        samples: length in samples to which they are resampled first; None for windows at their own rate.
    """
    length, rate_hz = samples or windows.dataset.samples, window_rate(windows, samples)
    found = []
    for first in range(0, len(windows), BATCH):
        rows = windows.rows[first : first + BATCH]
        if samples is None:
            found.append(features(windows.dataset.windows[rows], rate_hz))
            release(windows.dataset.windows)
        else:
            found.append(features(windows.dataset.gather(rows, length).transpose(1, 2).numpy(), rate_hz))
    return np.concatenate(found) if found else np.empty((0, len(feature_names())))


def window_rate(windows: Windows, samples: int | None = None) -> float:
    """Sampling rate by the window length, after resampling to `samples`; 30 Hz before where it is not known.

    It is rounded to float32, as the rate of promoted trees is, so that both put a frequency into the same band.
    """
    dataset = windows.dataset
    return float(np.float32((samples or dataset.samples) / (dataset.window_s or dataset.samples / RATE_HZ)))
