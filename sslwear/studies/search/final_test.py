"""Scores on the test participants of a study, and the end of a study: its winner is scored on them once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import FrozenTrial
from scipy.special import softmax

from sslwear.config import TrainingSettings
from sslwear.encoders.base import Network
from sslwear.errors import StudyError
from sslwear.evaluation.participants import POOLED, mean_scores, per_participant
from sslwear.reports.training_figures import confusion_figure
from sslwear.studies.database.tested_trials import count_evaluation, is_tested, keep_scores
from sslwear.studies.database.trials import SELECT, no_winner, score_of, training_of, winner
from sslwear.studies.results import summary
from sslwear.studies.results.baseline import score_baseline
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.winner import check_mine, trial_network
from sslwear.tracking import Run, reading
from sslwear.training import FrozenBlocks, frozen_prefix_length, outputs
from sslwear.training.metrics import HEADLINE_SCORES, classification_scores, confusion
from sslwear.utils.interrupts import signals_deferred

CONFUSION = "test_confusion.png"
AS_USED = "float32"
"""Precision in which a promoted model predicts in Python, in MLflow and on a server, and so that of its scores."""


def finalise(
    context: StudyContext,
    study: optuna.Study,
    trials: int,
    parent: Run,
    progress: ProgressCallback,
    is_mine: Callable[[], bool],
) -> None:
    """Score the winner on the test participants and log the study's results.

    Args:
        context: the study's.
        study: a study whose trials have all ended.
        trials: number of trials that count.
        parent: the study's run.
        progress: receives notes.
        is_mine: whether this process still has the right to finalise the study.

    Raises:
        StudyError: when no trial finished.
        FinaliserReplacedError: when this process has lost the right; it has not logged test scores since.
    """
    best = _winner(study, trials)
    parent.text(context.settings.to_yaml(), "settings.yaml")
    objective = context.settings.objective
    value = score_of(best) or 0.0
    parent.metrics({f"best_{objective}": value, "best_trial": best.number, "trials": trials})
    run = context.store.find_run(best.user_attrs["run_id"])
    if run is not None:  # the winner's scores, so that the study's row in the table has scores too
        parent.metrics({score: run.data.metrics[score] for score in HEADLINE_SCORES if score in run.data.metrics})
    network, run_id = trial_network(context, study, best, parent, progress, is_mine)
    check_mine(is_mine)
    # The study's run has one trial's test scores. The selection may have gone back to a trial that was tested before.
    told = reading.tag(parent.store.client.get_run(parent.id), "best_trial")
    if not is_tested(study, best.number) or told != str(best.number):
        progress.note(f"scoring trial {best.number}, the winner, on the test participants")
        result = score_trained(context, network, training_of(best), AS_USED)
        check_mine(is_mine)
        _log(context, best, result, parent)
        people = dict(zip(map(str, result.table["participant"]), map(float, result.table[objective]), strict=True))
        with signals_deferred():
            count_evaluation(study, best.number, f"trial {best.number}, the winner")
            known = {name: score for name, score in people.items() if not math.isnan(score)}
            keep_scores(study, best.number, result.means, result.pooled, known)
    parent.tags(best_trial=str(best.number), best_run=run_id, select=study.user_attrs[SELECT])
    score_baseline(context, study, parent, progress)
    check_mine(is_mine)
    summary.log(study, parent)


def _winner(study: optuna.Study, trials: int) -> FrozenTrial:
    best = winner(study)
    if best is None and (why := no_winner(study)):
        raise StudyError(f"{study.study_name}: {why} Start a study with other limits: --set study=NAME")
    if best is None and trials == 0:
        raise StudyError(
            f"no trial of {study.study_name!r} ended before its hours were spent. Give it more, such as --set hours=24"
        )
    if best is None:
        raise StudyError(
            f"none of the {trials} trials of {study.study_name!r} finished. Read traceback.txt of a failed run in the "
            "UI"
        )
    return best


def _log(context: StudyContext, best: FrozenTrial, result: HeldOutScores, parent: Run) -> None:
    names = context.dataset.class_names
    parent.metrics(result.metrics)
    title = f"test participants, trial {best.number}"
    parent.figure(confusion_figure(confusion(result.truth, result.predicted, len(names)), names, title), CONFUSION)
    parent.table(result.table, "test_participants.csv")
    parent.tags(tested_on=result.tested_on)


@dataclass(frozen=True)
class HeldOutScores:
    """Predictions for the test participants, and their scores.

    Attributes:
        truth: true class indices (N,).
        predicted: predicted class indices (N,).
        table: scores, one row a participant, see `sslwear.evaluation.participants.per_participant`.
        pooled: the same scores over all windows.
        probabilities: class probabilities (N, classes), if known.
        tested_on: device and precision of the predictions, if known.
    """

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    table: pd.DataFrame
    pooled: dict[str, float]
    probabilities: NDArray[np.float64] | None = None
    tested_on: str = ""

    @property
    def means(self) -> dict[str, float]:
        """Test scores by name: means over the participants."""
        return mean_scores(self.table)

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of a run: ``test_kappa`` and others are means, ``pooled_test_kappa`` and others over all windows."""
        means = {f"test_{name}": value for name, value in self.means.items()}
        return {**means, **{f"{POOLED}test_{name}": value for name, value in self.pooled.items()}}


def score_trained(context: StudyContext, network: Network, training: TrainingSettings, precision: str) -> HeldOutScores:
    """Score a network that was trained in a study on the test participants, with cached outputs of frozen blocks.

    Args:
        context: the study's.
        network: the network.
        training: settings with which it was trained.
        precision: ``float32`` or ``bf16``.
    """
    frozen, names = context.tuning(training).frozen, context.dataset.class_names
    # Nothing is cached in another precision than that of the trainings: it would be of all windows, for one use.
    depth = frozen_prefix_length(frozen, network) if precision == context.precision else 0
    return score_network(context, network, context.encoder.window_samples, names, depth, precision)


def score_network(
    context: StudyContext,
    network: Network,
    samples: int,
    class_names: Sequence[str],
    depth: int = 0,
    precision: str = AS_USED,
) -> HeldOutScores:
    """Score a network on the test participants.

    Args:
        context: the study's.
        network: a classifier of the study's classes.
        samples: window length of the network, in samples.
        class_names: classes in the order of the network's outputs.
        depth: number of first blocks whose outputs are cached.
        precision: ``float32`` or ``bf16``.

    Raises:
        StudyError: when it has other classes than the study.
    """
    names = context.dataset.class_names
    if sorted(class_names) != sorted(names):
        raise StudyError(
            f"the model has the classes {', '.join(class_names)}, and the test participants of "
            f"{context.settings.study!r} have {', '.join(names)}"
        )
    training = context.settings.training
    settings = replace(context.fit_settings(training), precision=precision)
    windows = context.windows(context.split.test)
    network.to(settings.device).eval()
    blocks = FrozenBlocks(network, samples, settings.precision)
    source = context.cache.source(blocks, windows, 0, depth)
    with context.unchanged_data():
        logits = outputs(network, samples, source, settings)[:, [class_names.index(name) for name in names]]
    probabilities = softmax(logits.astype(np.float64), axis=1)
    scores = score_predictions(context, logits.argmax(axis=1))
    return replace(scores, probabilities=probabilities, tested_on=f"{settings.device.type}, {precision}")


def score_predictions(context: StudyContext, predicted: NDArray[np.int64]) -> HeldOutScores:
    """Score classes (N,), wherever they are from, predicted for the windows of an experiment's test participants."""
    windows, classes = context.windows(context.split.test), len(context.dataset.class_names)
    truth = windows.labels
    table = per_participant(truth, predicted, windows.pid, classes)
    return HeldOutScores(truth, predicted, table, classification_scores(truth, predicted, classes))
