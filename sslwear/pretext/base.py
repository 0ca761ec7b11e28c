"""Base classes of pretext tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sslwear import transforms
from sslwear.encoders.heads import LinearHeads
from sslwear.training.task import ClassTask, Task
from sslwear.utils import plugins

CHANCE = "chance"
"""Score of every pretext task: the headline score of a network that learnt nothing."""


@dataclass(frozen=True)
class Example:
    """Example of a task's input, for figures.

    Attributes:
        title: description of the transform.
        window: input of the network (3, samples) in g.
        hidden: samples that are hidden from the network (samples,), or None.
    """

    title: str
    window: Tensor
    hidden: Tensor | None = None


class PretextTask(Task):
    """Base class of pretext tasks, which make targets from windows without labels.

    The score `CHANCE` shows whether a network learnt anything.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """The question of the task in one line."""
    headline = "accuracy"

    @abstractmethod
    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """Examples of inputs made from a window (1, 3, samples) in g, one of each kind."""


class QuestionTask(PretextTask, ClassTask):
    """Base class of tasks with questions about a window, each with the same number of answers and a linear head."""

    choices: ClassVar[int] = 2
    """Number of answers to a question."""

    @abstractmethod
    def questions(self) -> Sequence[str]:
        """Names of the questions, in the order of the target's columns."""

    def head(self, features: int) -> nn.Module:
        """Linear heads, one for each question."""
        return LinearHeads(features, dict.fromkeys(self.questions(), self.choices))

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy averaged over the questions, (B, questions * choices) against (B, questions)."""
        # One row for each answer, because cross-entropy over further axes is not deterministic on CUDA.
        each = functional.cross_entropy(output.reshape(-1, self.choices), target.reshape(-1), reduction="none")
        each = each.view(target.shape).mean(dim=1)
        return each.sum(), each.new_full((), len(target))

    def predict(self, output: Tensor) -> Tensor:
        """Most likely answers (B, questions)."""
        return output.view(len(output), -1, self.choices).argmax(dim=2)

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """``accuracy`` over all questions; ``chance``, the accuracy of the most frequent answers; and, if there are
        several questions, ``accuracy_QUESTION`` of each.
        """
        correct = truth == predicted
        most_frequent = [np.bincount(column, minlength=self.choices).max() / len(column) for column in truth.T]
        found = {"accuracy": float(correct.mean()), CHANCE: float(np.mean(most_frequent))}
        questions = list(self.questions())
        each = {f"accuracy_{name}": float(correct[:, i].mean()) for i, name in enumerate(questions)}
        return {**found, **(each if len(questions) > 1 else {})}


class TransformTask(QuestionTask):
    """Base class of tasks that detect which transforms were applied to a window, each with probability 1/2.

    A subclass names its questions and their transforms. Answer 0 means that the transform was not applied.
    """

    @abstractmethod
    def transforms(self) -> Mapping[str, transforms.Transform]:
        """Transforms by question, in the order in which they are applied."""

    def questions(self) -> Sequence[str]:
        """Names of the transforms."""
        return list(self.transforms())

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows, each transform applied to a random half of them; targets (B, questions)."""
        steps = self.transforms()
        target = torch.randint(0, 2, (len(x), len(steps)), generator=generator)
        for question, transform in enumerate(steps.values()):
            x = transforms.where(target[:, question], transform(x, generator), x)
        return x, target.to(x.device)

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """Each transform by itself and, if there are several, all of them together."""
        each = [Example(name, transform(x, generator)[0]) for name, transform in self.transforms().items()]
        if len(each) == 1:
            return each
        for transform in self.transforms().values():
            x = transform(x, generator)
        return [*each, Example("all together", x[0])]


class LevelTask(QuestionTask):
    """Base class of tasks that detect the level of a transform; level 0 is the window as recorded.

    A subclass sets `choices`, the number of levels with level 0, and implements the transform.
    """

    @abstractmethod
    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Windows (B, 3, samples) transformed at their levels (B,); results for level 0 are not used."""

    @abstractmethod
    def level_names(self) -> Sequence[str]:
        """Short descriptions of the levels, level 0 first."""

    def questions(self) -> Sequence[str]:
        """The name of the task."""
        return [self.name]

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows, each transformed at a random level; targets (B, 1)."""
        level = torch.randint(0, self.choices, (len(x),), generator=generator)
        x = transforms.where(level, self.apply(x, level, generator), x)
        return x, level.unsqueeze(1).to(x.device)

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """All levels except level 0."""
        levels = range(1, self.choices)
        made = [self.apply(x, torch.tensor([level]), generator)[0] for level in levels]
        return [Example(self.level_names()[level], window) for level, window in zip(levels, made, strict=True)]


def get(name: str, key: str = "pretext", besides: tuple[str, ...] = ("none",)) -> type[PretextTask]:
    """Pretext task by name.

    Args:
        name: name of the task.
        key: key of the study file, for the message.
        besides: other allowed values of the key, for the message.

    Raises:
        SettingsError: when no task has the name; the message lists the names.
    """
    return plugins.get("sslwear.pretext", PretextTask, name, key, besides)


def find() -> dict[str, type[PretextTask]]:
    """All pretext tasks by name, sorted."""
    return plugins.find("sslwear.pretext", PretextTask)
