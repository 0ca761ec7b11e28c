"""Random-forest baseline on 91 hand-crafted features of each window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from sslwear.encoders.trees import Trees
from sslwear.evaluation.baselines.base import ProbabilityBaseline
from sslwear.evaluation.trees import fitted_trees, tree_probabilities
from sslwear.training import Windows

TREES = 1000


class RandomForest(ProbabilityBaseline):
    """Balanced random forest on the features of `sslwear.encoders.window_features`."""

    name = "random_forest"

    def probabilities(
        self, train: Windows, validation: Windows, test: Windows, classes: int, seed: int
    ) -> NDArray[np.float64]:
        """Class probabilities (n, classes): means over the trees."""
        forest = RandomForestClassifier(TREES, random_state=seed)
        return tree_probabilities(forest, train, validation, test, classes)

    def fitted(self, windows: Windows, samples: int, classes: int, seed: int) -> Trees:
        """See `Baseline.fitted`."""
        return fitted_trees(RandomForestClassifier(TREES, random_state=seed), windows, samples, classes)
