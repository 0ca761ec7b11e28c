"""MiniRocket baseline: thousands of fixed convolutions of each window, and a ridge classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import joblib
import numpy as np
import torch
from numpy.typing import NDArray

from sslwear.data.arrays import release
from sslwear.data.dataset import Dataset
from sslwear.encoders.minirocket import LENGTH, MiniRocketClassifier
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.baselines.base import ProbabilityBaseline, missing
from sslwear.evaluation.ridge import Features, ridge_logits, ridge_probabilities
from sslwear.training import Windows
from sslwear.training.threads import threads_kept

KERNELS = 10_000
EXAMPLES = 10_000
"""Largest number of windows of which one is drawn for each kernel, whose quantiles are its thresholds."""
BATCH = 256
KEPT = 20_000
"""Largest number of windows whose features are kept, 40 kB each; those of more windows are computed when needed."""


class MiniRocket(ProbabilityBaseline):
    """MiniRocket of the three axes and the length of acceleration, and a balanced ridge classifier.

    A feature is the share of samples at which a convolution is above a threshold (Dempster et al., KDD 2021). The ridge
    classifier is fitted to training and validation participants together, and leaves some of them out to choose its
    strength (`sslwear.evaluation.ridge`). The predictions do not depend on the number of cores.
    """

    name = "minirocket"
    needs: ClassVar[Mapping[str, str]] = {"aeon": "sslwear[baselines]"}

    def probabilities(
        self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int
    ) -> NDArray[np.float64]:
        """Class probabilities (n, classes).

        Raises:
            SettingsError: when aeon is not installed.
            DataError: when windows have fewer than 9 samples.
        """
        dataset = train.dataset
        _check_length(dataset, dataset.samples)
        rows = np.unique(np.concatenate([train.rows, validation.rows]))
        features = minirocket_features(dataset, rows, test.rows, seed)
        return ridge_probabilities(features, rows, dataset.labels[rows], dataset.pid[rows], test.rows, classes)

    def fitted(self, windows: Windows, samples: int, classes: int, seed: int) -> MiniRocketClassifier:
        """See `Baseline.fitted`.

        Raises:
            SettingsError: when aeon is not installed.
            DataError: when windows have fewer than 9 samples.
        """
        dataset, rows = windows.dataset, np.unique(windows.rows)
        _check_length(dataset, samples)
        made = MiniRocketClassifier.of(_fitted(dataset, rows, seed, samples).parameters)

        def compute(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
            with torch.no_grad():
                parts = [
                    made.features(dataset.gather(wanted[first : first + BATCH], samples)).numpy()
                    for first in range(0, len(wanted), BATCH)
                ]
            return np.concatenate(parts)

        features = _kept(compute, rows)
        made.set_ridge(*ridge_logits(features, rows, dataset.labels[rows], dataset.pid[rows], classes))
        return made


def _check_length(dataset: Dataset, samples: int) -> None:
    if samples < LENGTH:
        raise DataError(
            f"{dataset.folder} has windows of {samples} samples, and {MiniRocket.name} needs {LENGTH} or more. "
            "Prepare longer windows, or leave this baseline out"
        )


def minirocket_features(dataset: Dataset, rows: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> Features:
    """MiniRocket's features (n, F) of rows of a data set, whose thresholds are from `rows`."""
    transform = _fitted(dataset, rows, seed)

    def compute(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        with threads_kept():
            found: NDArray[np.float32] = transform.transform(_channels(dataset, wanted))
        return found

    return _kept(compute, np.concatenate([rows, test]))


def _kept(compute: Features, rows: NDArray[np.int64]) -> Features:
    """Features that are computed once, where memory allows it for all of some rows."""
    if len(rows) > KEPT:
        return compute
    kept = np.unique(rows)
    table = compute(kept)
    return lambda wanted: table[np.searchsorted(kept, wanted)]


def _fitted(dataset: Dataset, rows: NDArray[np.int64], seed: int, samples: int | None = None) -> Any:
    """The transform, fitted to rows of a data set, which are resampled to `samples` if that is given.

    Raises:
        SettingsError: when aeon is not installed.
    """
    try:
        import numba
        from aeon.transformations.collection.convolution_based import MiniRocket as Transform
    except ImportError as error:
        lacking = missing(MiniRocket) or f"the package {error.name}. Install aeon again"
        raise SettingsError(f"the baseline {MiniRocket.name} needs {lacking}") from error
    generator = np.random.default_rng(seed)
    examples = np.sort(generator.permutation(rows)[:EXAMPLES])
    threads = min(joblib.cpu_count(), numba.config.NUMBA_NUM_THREADS)
    transform = Transform(n_kernels=KERNELS, n_jobs=threads, random_state=seed)
    before = np.random.get_state()  # noqa: NPY002 - aeon seeds the global random numbers
    try:
        with threads_kept():
            transform.fit(_channels(dataset, examples, samples))
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return transform


def _channels(dataset: Dataset, rows: NDArray[np.int64], samples: int | None = None) -> NDArray[np.float32]:
    """Windows (n, 4, samples) in g: the three axes and the length of acceleration."""
    if samples is None:
        axes = np.asarray(dataset.windows[rows], np.float32)
        release(dataset.windows)
    else:
        axes = dataset.gather(rows, samples).transpose(1, 2).numpy()
    channels = np.concatenate([axes, np.linalg.norm(axes, axis=2, keepdims=True)], axis=2)
    return np.ascontiguousarray(channels.transpose(0, 2, 1))
