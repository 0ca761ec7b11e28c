"""Scores of a trial, by participant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from sslwear.evaluation.intervals import DECIMALS
from sslwear.evaluation.participants import mean_scores, per_participant, standard_errors
from sslwear.training import EpochRecord, Evaluation, FoldedResult
from sslwear.training.metrics import HEADLINE_SCORES, Labels, classification_scores, confusion
from sslwear.utils.words import count


@dataclass(frozen=True)
class Judgement:
    """Scores of a trial, or of its folds so far.

    Attributes:
        epochs: number of epochs with the lowest mean validation loss over the folds.
        folds: number of folds.
        history: means over the folds by epoch; scores are means over participants.
        table: scores of each participant after `epochs`, means over repeats, see `per_participant`.
        truth: true class indices of all judged windows (N,).
        predicted: predicted class indices (N,).
        classes: number of classes.
        measured: size and speed of the network, see `sslwear.studies.setup.limits.measured`.
    """

    epochs: int
    folds: int
    history: tuple[EpochRecord, ...]
    table: pd.DataFrame
    truth: NDArray[np.integer]
    predicted: NDArray[np.integer]
    classes: int
    measured: dict[str, float]

    @property
    def means(self) -> dict[str, float]:
        """Means over the participants, by name of the score."""
        return mean_scores(self.table)

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the means over participants."""
        return standard_errors(self.table)

    @property
    def pooled(self) -> dict[str, float]:
        """Scores over all windows."""
        return classification_scores(self.truth, self.predicted, self.classes)

    def by_participant(self, score: str) -> dict[str, float]:
        """A score of each participant, by name; undefined ones are left out."""
        known = self.table[["participant", score]].dropna()
        return {str(name): float(value) for name, value in known.itertuples(index=False)}


class Scorer:
    """Scores by participant from the predictions of folds."""

    def __init__(self, classes: int, pid: Sequence[NDArray[Any]], limits: dict[str, float]) -> None:
        self._classes, self._pid, self._limits = classes, pid, limits
        self._means: dict[tuple[int, int], dict[str, float]] = {}  # by number of folds and epoch

    def table(self, evaluations: Sequence[Evaluation]) -> pd.DataFrame:
        """Scores of each participant of some folds, the first ones; means over repeats."""
        tables = [
            per_participant(one.truth, one.predicted, pid, self._classes)
            for one, pid in zip(evaluations, self._pid, strict=False)
        ]
        return pd.concat(tables).groupby("participant", as_index=False).mean()

    def history(self, result: FoldedResult) -> tuple[EpochRecord, ...]:
        """The records of a result with mean scores over the participants of its folds."""
        folds = len(result.evaluations)
        for record in result.history:
            if (folds, record.epoch) not in self._means:
                self._means[folds, record.epoch] = mean_scores(self.table(result.at(record.epoch)))
        return tuple(replace(record, scores=self._means[folds, record.epoch]) for record in result.history)

    def judgement(self, result: FoldedResult) -> Judgement:
        """Scores of the folds so far."""
        chosen = result.at(result.epoch)
        return Judgement(
            epochs=result.epoch,
            folds=len(chosen),
            history=self.history(result),
            table=self.table(chosen),
            truth=np.concatenate([one.truth for one in chosen]),
            predicted=np.concatenate([one.predicted for one in chosen]),
            classes=self._classes,
            measured=self._limits,
        )


def confusion_table(truth: Labels, predicted: Labels, class_names: Sequence[str]) -> pd.DataFrame:
    """Number of windows by true class (rows, column ``true``) and predicted class (other columns)."""
    counts = confusion(truth, predicted, len(class_names))
    table = pd.DataFrame(counts, columns=[f"predicted_{name}" for name in class_names])
    table.insert(0, "true", list(class_names))
    return table


def sentence(judgement: Judgement, objective: str) -> str:
    """Scores of a trial in a sentence (Markdown)."""
    names = [objective, *(name for name in HEADLINE_SCORES if name != objective)]
    means, errors = judgement.means, judgement.errors
    scores = ", ".join(f"{name} {means[name]:.3f} (standard error {errors[name]:.3f})" for name in names)
    how = f"in {count(judgement.folds, 'fold')}, each by a network that has not seen the participant"
    if judgement.folds == 1:
        how = "of the hold-out"
    return (
        f"Mean over {count(len(judgement.table), 'participant')} {how}: {scores}, after "
        f"{count(judgement.epochs, 'epoch')} of {len(judgement.history)}. The number of epochs has the lowest mean "
        "validation loss. Metrics that begin with `val_` have the value of each epoch."
    )


def is_worse(scores: Mapping[str, float], best: Mapping[str, float], p_value: float) -> bool:
    """Whether a trial is worse than the best one so far on the participants that both were scored on.

    The test is Wilcoxon's signed-rank test of the paired differences, one-sided. Optuna's WilcoxonPruner is the same
    test, but takes the intermediate values of a trial for the participants, and these are its epochs here.

    Args:
        scores: score of each participant so far.
        best: score of each participant in the best trial.
        p_value: limit of the test's p-value.
    """
    difference = np.array([value - best[name] for name, value in scores.items() if name in best]).round(DECIMALS)
    differing = difference[difference != 0]  # with zeros SciPy gives up the exact test
    if p_value == 0 or len(differing) == 0 or difference.mean() >= 0:
        return False
    return float(wilcoxon(differing, alternative="less").pvalue) < p_value
