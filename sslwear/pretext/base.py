"""What pretext tasks share, and those that ask questions with a few answers each."""

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
"""Score of every pretext task: what its headline is for a network that learnt nothing."""


@dataclass(frozen=True)
class Example:
    """What a task makes of a window, to look at.

    Attributes:
        title: says what was done to it.
        window: (3, samples) in g, as the network sees it.
        hidden: samples that the network does not see (samples,), or None.
    """

    title: str
    window: Tensor
    hidden: Tensor | None = None


class PretextTask(Task):
    """A task whose targets are made from windows without labels.

    Among its scores is `CHANCE`, so that a task from which nothing was learnt is seen to be one.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """What it asks, in a line."""
    headline = "accuracy"

    @abstractmethod
    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """What may be made of a window (1, 3, samples) in g: one example of each kind."""


class QuestionTask(PretextTask, ClassTask):
    """One or more questions about a window, each with the same number of answers; one linear head a question."""

    choices: ClassVar[int] = 2
    """Answers that a question has."""

    @abstractmethod
    def questions(self) -> Sequence[str]:
        """Names of the questions, in the order of the target's columns."""

    def head(self, features: int) -> nn.Module:
        """A linear head for each question."""
        return LinearHeads(features, dict.fromkeys(self.questions(), self.choices))

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy averaged over the questions, (B, questions * choices) against (B, questions)."""
        # One row an answer, because PyTorch's cross-entropy over further axes is not repeatable on CUDA.
        each = functional.cross_entropy(output.reshape(-1, self.choices), target.reshape(-1), reduction="none")
        each = each.view(target.shape).mean(dim=1)
        return each.sum(), torch.tensor(float(len(target)), device=each.device)

    def predict(self, output: Tensor) -> Tensor:
        """Most likely answers (B, questions)."""
        return output.view(len(output), -1, self.choices).argmax(dim=2)

    def scores(self, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
        """``accuracy`` over all questions, ``chance`` (always giving each question's commonest answer) and, where there
        are several questions, ``accuracy_QUESTION`` of each.
        """
        right = truth == predicted
        commonest = [np.bincount(column, minlength=self.choices).max() / len(column) for column in truth.T]
        found = {"accuracy": float(right.mean()), CHANCE: float(np.mean(commonest))}
        questions = list(self.questions())
        each = {f"accuracy_{name}": float(right[:, i].mean()) for i, name in enumerate(questions)}
        return {**found, **(each if len(questions) > 1 else {})}


class TransformTask(QuestionTask):
    """Tell which transforms were applied to a window, each with probability one half.

    A subclass names its questions and their transforms. Answer 0 means that the window was left as it was.
    """

    @abstractmethod
    def transforms(self) -> Mapping[str, transforms.Transform]:
        """The transforms by question, in the order in which they are applied."""

    def questions(self) -> Sequence[str]:
        """One for each transform."""
        return list(self.transforms())

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows of which half, chosen afresh for each question, were transformed; targets (B, questions)."""
        steps = self.transforms()
        target = torch.randint(0, 2, (len(x), len(steps)), generator=generator)
        for question, transform in enumerate(steps.values()):
            x = transforms.where(target[:, question], transform(x, generator), x)
        return x, target.to(x.device)

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """Each transform by itself and, where there are several, all of them together."""
        each = [Example(name, transform(x, generator)[0]) for name, transform in self.transforms().items()]
        if len(each) == 1:
            return each
        for transform in self.transforms().values():
            x = transform(x, generator)
        return [*each, Example("all together", x[0])]


class LevelTask(QuestionTask):
    """Tell which level of one transform a window had; answer 0 means that it was left as it was.

    A subclass says in `choices` how many levels there are, level 0 counted, and what each does.
    """

    @abstractmethod
    def apply(self, x: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Transform windows (B, 3, samples), each at its level (B,), 1 or more; what is made of level 0 is not used."""

    @abstractmethod
    def level_names(self) -> Sequence[str]:
        """What each level does, in a few words, level 0 first."""

    def questions(self) -> Sequence[str]:
        """One, of the task's name."""
        return [self.name]

    def batch(self, x: Tensor, labels: Tensor, generator: torch.Generator, training: bool) -> tuple[Tensor, Tensor]:
        """Windows at a level each, all equally likely; targets (B, 1)."""
        level = torch.randint(0, self.choices, (len(x),), generator=generator)
        x = transforms.where(level, self.apply(x, level, generator), x)
        return x, level.unsqueeze(1).to(x.device)

    def examples(self, x: Tensor, generator: torch.Generator) -> Sequence[Example]:
        """All levels but that which changes nothing."""
        levels = range(1, self.choices)
        made = [self.apply(x, torch.tensor([level]), generator)[0] for level in levels]
        return [Example(self.level_names()[level], window) for level, window in zip(levels, made, strict=True)]


def get(name: str, key: str = "pretext", besides: tuple[str, ...] = ("none",)) -> type[PretextTask]:
    """Return the pretext task called `name`; `key` is the study file's key that asks for it.

    Args:
        name: the one that is asked for.
        key: what asks for it, for the message.
        besides: other values that the key may have, for the message.

    Raises:
        SettingsError: when there is none.
    """
    return plugins.get("sslwear.pretext", PretextTask, name, key, besides)


def find() -> dict[str, type[PretextTask]]:
    """All pretext tasks by name, sorted."""
    return plugins.find("sslwear.pretext", PretextTask)
