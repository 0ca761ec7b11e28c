"""What a person is told about a study: its trials, the winner, and scores with their uncertainty.

The classes know neither Optuna nor MLflow. `sslwear.reports.study_page` shows them as a page, and
`sslwear.reports.study_text` as text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sslwear.evaluation.intervals import Interval
from sslwear.utils.words import shown

FINISHED, PRUNED, FAILED, INTERRUPTED, RUNNING = OUTCOMES = ("finished", "pruned", "failed", "interrupted", "running")
"""Outcomes of a trial, in the order in which trials are listed."""
GROUPED = {"tuning": "tuning strategy", "pretext": "pretext task"}
"""Properties of a trial by which means are compared, with their titles."""
TITLES = {"kappa": "kappa", "f1": "macro F1"}


@dataclass(frozen=True)
class TrialPoint:
    """One trial in a figure.

    Attributes:
        number: number of the trial.
        value: its objective; the last reported value of a pruned trial; None if it has none.
        tuning: its tuning strategy.
        pretext: its pretext task.
        pruned: whether it was pruned.
    """

    number: int
    value: float | None
    tuning: str
    pretext: str
    pruned: bool


@dataclass(frozen=True)
class TrialResult:
    """One trial.

    Attributes:
        number: number of the trial.
        outcome: one of `OUTCOMES`.
        searched: its values of the searched settings, by name.
        tuning: its tuning strategy.
        pretext: its pretext task.
        mean: mean of the objective over the judged participants; None if it has none. The last reported mean of a
            pruned trial.
        error: standard error of the mean over participants; None with fewer than two participants.
        participants: objective of each judged participant.
        epochs: number of epochs with the lowest mean validation loss of a finished trial, and the number trained so
            far of another one; None if it is not known.
        seconds: training time in seconds.
        parameters: number of parameters that were tuned.
        windows_per_second: windows that a network classifies in a second.
        candidate: whether the trial cannot be told from the best one.
        run_id: id of its run.
        curve: mean of the objective after each epoch, from the first epoch.
        second: value of the study's second objective, if it has one.
        repeats: whether it has the result of an earlier trial with the same settings.
    """

    number: int
    outcome: str
    searched: Mapping[str, Any]
    tuning: str
    pretext: str
    mean: float | None
    error: float | None
    participants: Mapping[str, float]
    epochs: int | None = None
    seconds: float | None = None
    parameters: int | None = None
    windows_per_second: float | None = None
    candidate: bool = False
    run_id: str | None = None
    curve: tuple[float, ...] = ()
    second: float | None = None
    repeats: bool = False

    @property
    def known(self) -> bool:
        """Whether the mean is a number."""
        return self.mean is not None and math.isfinite(self.mean)

    def text(self) -> str:
        """Mean with its standard error, such as ``0.812 ± 0.012``; ``-`` if there is no mean."""
        if not self.known:
            return "-"
        error = f" ± {self.error:.3f}" if self.error is not None and math.isfinite(self.error) else ""
        return f"{self.mean:.3f}{error}"


@dataclass(frozen=True)
class Rated:
    """A trial or a baseline with an estimate by cross-validation and a test score.

    Attributes:
        name: name of what is rated.
        estimate: mean over participants in cross-validation inside the search; None if it was not estimated.
        test: mean over the test participants; None if they were not scored.
        scores: objective of each participant in cross-validation.
        test_scores: objective of each test participant.
        trial: number of the trial; None for a baseline.
    """

    name: str
    estimate: Interval | None
    test: Interval | None
    scores: Mapping[str, float] = field(default_factory=dict)
    test_scores: Mapping[str, float] = field(default_factory=dict)
    trial: int | None = None


@dataclass(frozen=True)
class StudyReport:
    """A study as it is told.

    Attributes:
        name: name of the study.
        objective: name of the score by which trials are judged, ``kappa`` or ``f1``.
        data: name of the data set.
        encoder: name of the encoder.
        weights: initial weights.
        judged: a sentence: how trials are judged.
        trials: all trials.
        winner: number of the selected trial; None if there is none.
        selection: a sentence that names the trial: why it was selected.
        finding: a sentence: which trials cannot be told apart.
        estimate_note: a sentence: how the winner's estimate was corrected for being the best of many.
        selected: the winner.
        default: the study file's own settings, trial 0; None if they were not tried.
        baseline: the baseline; None if there is none.
        warning: what makes the result doubtful; None if nothing does.
        notes: further sentences.
        groups: means over the finished trials with the same value, with their intervals over participants, by property
            (``tuning``, ``pretext``) and value.
        importances: share of each searched setting in the variance of the objective.
        pareto: numbers of the trials on the Pareto front.
        second: title of the second objective; None if there is none.
        test_evaluations: how often the test participants were scored.
        excluded: number of finished trials that do not keep the constraint, which are not compared, without repeats.
    """

    name: str
    objective: str
    data: str
    encoder: str
    weights: str
    judged: str
    trials: tuple[TrialResult, ...]
    winner: int | None
    selection: str = ""
    finding: str = ""
    estimate_note: str = ""
    selected: Rated | None = None
    default: Rated | None = None
    baseline: Rated | None = None
    warning: str | None = None
    notes: tuple[str, ...] = ()
    groups: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    importances: Mapping[str, Interval] = field(default_factory=dict)
    pareto: tuple[int, ...] = ()
    second: str | None = None
    test_evaluations: int = 0
    excluded: int = 0

    @property
    def score(self) -> str:
        """Title of the objective."""
        return TITLES.get(self.objective, self.objective)

    @property
    def pooled(self) -> bool:
        """Whether trials have a score over all windows and none by participant, as in studies of version 0.1."""
        return bool(self.finished) and not any(one.participants for one in self.finished)

    @property
    def ranked(self) -> list[TrialResult]:
        """All trials: the finished ones with the highest mean first, then those of the other outcomes."""
        return sorted(self.trials, key=_rank)

    @property
    def finished(self) -> list[TrialResult]:
        """Finished trials with a mean, the highest first."""
        return [one for one in self.ranked if one.outcome == FINISHED and one.known]

    @property
    def candidates(self) -> list[TrialResult]:
        """Finished trials that cannot be told from the best one, and the winner; the highest mean first."""
        return [one for one in self.finished if one.candidate or one.number == self.winner]

    @property
    def grouped(self) -> dict[str, dict[str, Interval]]:
        """Means by tuning strategy and by pretext task, the highest first, where there are several."""
        known = {
            by: {name: one for name, one in self.groups.get(by, {}).items() if math.isfinite(one.mean)}
            for by in GROUPED
        }
        return {
            by: dict(sorted(found.items(), key=lambda item: -item[1].mean))
            for by, found in known.items()
            if len(found) > 1
        }

    @property
    def front(self) -> list[TrialResult]:
        """Finished trials on the Pareto front, the highest mean first."""
        return [
            one
            for one in self.finished
            if one.number in self.pareto and one.second is not None and math.isfinite(one.second)
        ]

    @property
    def searched(self) -> list[str]:
        """Names of the searched settings in the order in which the trials have them."""
        return list(dict.fromkeys(name for one in self.trials for name in one.searched))

    @property
    def outcomes(self) -> Counter[str]:
        """Number of trials by outcome."""
        return Counter(one.outcome for one in self.trials)

    def varied(self, name: str) -> bool:
        """Whether the trials have several values of a searched setting, or of ``tuning`` or ``pretext``."""
        return len({repr(value_of(one, name)) for one in self.trials}) > 1

    def named(self, trial: TrialResult, most: int = 2) -> str:
        """A few settings by which a trial differs from others, as one text; empty if nothing differs.

        Args:
            trial: the trial.
            most: maximum number of settings.
        """
        names = [name for name in GROUPED if self.varied(name)]
        if names:
            return ", ".join(str(value_of(trial, name)) for name in names)
        others = [name for name in self.searched if self.varied(name)]
        return ", ".join(f"{name} {shown(trial.searched.get(name))}" for name in others[:most])


def value_of(trial: TrialResult, name: str) -> Any:
    """A trial's tuning strategy, pretext task, or value of a searched setting; None if it has none."""
    return getattr(trial, name) if name in GROUPED else trial.searched.get(name)


def _rank(trial: TrialResult) -> tuple[int, float, int]:
    place = OUTCOMES.index(trial.outcome) if trial.outcome in OUTCOMES else len(OUTCOMES)
    return place, -trial.mean if trial.mean is not None and trial.known else math.inf, trial.number
