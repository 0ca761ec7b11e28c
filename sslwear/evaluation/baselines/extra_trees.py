"""Baseline of extremely randomised trees on 91 hand-crafted features of each window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from sslwear.encoders.trees import Trees
from sslwear.evaluation.baselines.base import ProbabilityBaseline
from sslwear.evaluation.trees import fitted_trees, tree_probabilities
from sslwear.training import Windows

TREES = 1000


class ExtraTrees(ProbabilityBaseline):
    """Balanced extremely randomised trees on the features of `sslwear.encoders.window_features`.

    A node takes the best of random thresholds, one for each of some features, and each tree learns from all windows
    (Geurts et al., Machine Learning 2006, 63:3).
    """

    name = "extra_trees"

    def probabilities(
        self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int
    ) -> NDArray[np.float64]:
        """Class probabilities (n, classes): means over the trees."""
        trees = ExtraTreesClassifier(TREES, random_state=seed)
        return tree_probabilities(trees, train, validation, test, classes)

    def fitted(self, windows: Windows, samples: int, classes: int, seed: int) -> Trees:
        """See `Baseline.fitted`."""
        return fitted_trees(ExtraTreesClassifier(TREES, random_state=seed), windows, samples, classes)
