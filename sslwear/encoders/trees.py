"""Fitted decision trees as arrays, which are kept and loaded as the weights of a network are."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslwear.encoders.arrays import Arrays
from sslwear.encoders.window_features import features


class Trees(Arrays):
    """Logarithm of the mean class probability of decision trees on hand-crafted features.

    The features are those of `sslwear.encoders.window_features`. The trees are the result of a fit and are not trained;
    their arrays get their sizes when they are loaded. In `left`, a negative number -1 - r is a leaf with row r of
    `probabilities`.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    roots: Tensor
    probabilities: Tensor
    depth: Tensor
    rate_hz: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("feature", "left", "right", "roots"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(0))
        self.register_buffer("probabilities", torch.zeros(0, 0))
        self.register_buffer("depth", torch.tensor(0))
        self.register_buffer("rate_hz", torch.tensor(0.0))

    @classmethod
    def of(cls, forest: Any, classes: int, rate_hz: float) -> Self:
        """Arrays of a fitted forest of scikit-learn.

        Args:
            forest: ``RandomForestClassifier`` or ``ExtraTreesClassifier``, fitted to features.
            classes: size of the label set, of which some may not have been learnt.
            rate_hz: sampling rate of the windows.
        """
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("feature", "threshold", "left", "right")}
        values: list[NDArray[np.float64]] = []
        roots: list[int] = []
        nodes = leaves = depth = 0
        for one in forest.estimators_:
            tree = one.tree_
            is_leaf = tree.children_left < 0
            found = np.zeros((is_leaf.sum(), classes))
            found[:, forest.classes_] = tree.value[is_leaf, 0] / tree.value[is_leaf, 0].sum(axis=1, keepdims=True)
            left = tree.children_left + nodes
            left[is_leaf] = -1 - (np.arange(len(found)) + leaves)
            parts["left"].append(left)
            parts["right"].append(np.where(is_leaf, 0, tree.children_right + nodes))
            parts["feature"].append(np.where(is_leaf, 0, tree.feature))
            parts["threshold"].append(_rounded_down(np.where(is_leaf, 0, tree.threshold)))
            values.append(found)
            roots.append(nodes)
            nodes, leaves, depth = nodes + tree.node_count, leaves + len(found), max(depth, tree.max_depth)
        made = cls()
        joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
        # Most leaves have windows of one class, so that few rows differ.
        joined["probabilities"], rows = np.unique(np.concatenate(values), axis=0, return_inverse=True)
        is_leaf = joined["left"] < 0
        joined["left"][is_leaf] = -1 - rows.reshape(-1)[-1 - joined["left"][is_leaf]]
        joined |= {"roots": np.array(roots), "depth": np.array(depth), "rate_hz": np.array(rate_hz)}
        for name, array in joined.items():
            setattr(made, name, torch.from_numpy(array).to(getattr(made, name).dtype))
        return made

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (B, 3, samples) to logarithms of mean probabilities (B, classes)."""
        windows = x.detach().float().cpu().numpy().transpose(0, 2, 1)
        # scikit-learn rounds features to float32 too.
        values = torch.from_numpy(features(windows, float(self.rate_hz)).astype(np.float32)).to(x.device)
        node = self.roots.long().expand(len(values), -1)
        for _ in range(int(self.depth)):
            to_left = values.gather(1, self.feature[node].long()) <= self.threshold[node]
            left = self.left[node].long()
            node = torch.where(left < 0, node, torch.where(to_left, left, self.right[node].long()))
        mean = self.probabilities[-1 - self.left[node].long()].mean(dim=1)
        return mean.log()


def _rounded_down(values: NDArray[Any]) -> NDArray[Any]:
    """The largest numbers of float32 that are not above some numbers, with which comparisons give the same."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
