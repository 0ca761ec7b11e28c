"""Pretext tasks whose questions are 'was this transform applied?'."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sslwear import plugins, transforms
from sslwear.encoders.heads import LinearHeads
from sslwear.task import Task


class PretextTask(Task):
    """A task whose targets are made from windows without labels."""

    name: ClassVar[str]
    headline = "accuracy"


class TransformTask(PretextTask):
    """Tell which transforms were applied to a window, each with probability one half; one linear head a question.

    A subclass names its questions and their transforms. Target 0 means that the window was left as it was.
    """

    @abstractmethod
    def transforms(self) -> Mapping[str, transforms.Transform]:
        """The transforms by question, in the order in which they are applied."""

    def head(self, features: int) -> nn.Module:
        """Two answers a question."""
        return LinearHeads(features, dict.fromkeys(self.transforms(), 2))

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows of which half, chosen afresh for each question, were transformed; targets (B, questions)."""
        steps = self.transforms()
        target = torch.randint(0, 2, (len(x), len(steps)), generator=generator)
        for question, transform in enumerate(steps.values()):
            x = transforms.where(target[:, question], transform(x, generator), x)
        return x, target.to(x.device)

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy averaged over the questions, (B, 2 * questions) against (B, questions)."""
        # One row an answer, because PyTorch's cross-entropy over further axes is not repeatable on CUDA.
        each = functional.cross_entropy(output.reshape(-1, 2), target.reshape(-1), reduction="none")
        each = each.view(target.shape).mean(dim=1)
        return each.sum(), torch.tensor(float(len(target)), device=each.device)

    def predict(self, output: Tensor) -> Tensor:
        """Most likely answers (B, questions)."""
        return output.view(len(output), -1, 2).argmax(dim=2)

    def scores(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
        """``accuracy`` over all questions and, where there are several, ``accuracy_QUESTION`` of each."""
        right = truth == predicted
        questions = list(self.transforms())
        each = {f"accuracy_{name}": float(right[:, i].mean()) for i, name in enumerate(questions)}
        return {"accuracy": float(right.mean()), **(each if len(questions) > 1 else {})}


def get(name: str, key: str = "pretext") -> type[PretextTask]:
    """Return the pretext task called `name`; `key` is the study file's key that asks for it.

    Raises:
        SettingsError: when there is none.
    """
    return plugins.get("sslwear.pretext", PretextTask, name, key, besides=("none",))
