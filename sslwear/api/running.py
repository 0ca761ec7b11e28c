"""Running in the public interface: studies, evaluations, single trainings, pre-trainings and promotions."""

# Imports of other parts stay inside functions, so that importing this module is fast.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sslwear.api.evaluation_result import EvaluationResult
from sslwear.api.notebook import progress_shown
from sslwear.api.study_result import StudyResult
from sslwear.api.training_results import PretrainingResult, TrainingResult

if TYPE_CHECKING:
    from sslwear.config import Settings
    from sslwear.deployment.promotion.champion import Promotion


def run_study(
    study: Settings | Mapping[str, Any] | str | Path, *, trials: int | None = None, progress: bool = True
) -> StudyResult:
    """Run a study, or resume it: Optuna proposes trials, each trains a network, and MLflow keeps everything.

    Args:
        study: the path of a study file, its content as a mapping, or settings.
        trials: total number of trials; by default the study's.
        progress: whether to show progress, on a terminal or in a notebook.

    Returns:
        The finished study. Its best trial was scored on the test participants.

    Raises:
        SslwearError: when settings, data or weights cannot be used, the weights were trained on test participants,
            the study was started with other settings, or no trial finished.

    Example:
        >>> study = sslwear.run_study("my-study.yaml", trials=2)
        >>> list(study.trials["outcome"])
        ['finished', 'finished']
        >>> study.best.score == float(study.trials["kappa"].max())
        True
        >>> study.best.settings.training.tuning, study.best.weights[:6]
        ('head', 'runs:/')
        >>> figure = study.plot()
    """
    from sslwear.config import from_python
    from sslwear.studies.search.optimise import run_study as run

    settings = from_python(study, {} if trials is None else {"trials": trials}, "study")
    with progress_shown(progress, epochs=False) as callback:
        return StudyResult(run(settings, progress=callback))


def evaluate(question: Settings | Mapping[str, Any] | str | Path, *, progress: bool = True) -> EvaluationResult:
    """Run an evaluation, or resume it: methods are compared on held-out participants.

    Args:
        question: a study with a section ``evaluation``: the path of its file, its content as a mapping, or settings.
        progress: whether to show progress, on a terminal or in a notebook.

    Returns:
        Scores of the test participants, and comparisons with the first method.

    Raises:
        SslwearError: when settings, data or weights cannot be used, a network would be trained on its test
            participants, or a job failed; finished jobs are kept.

    Example:
        >>> report = sslwear.evaluate("question.yaml")
        >>> list(report.summary["method"])
        ['head only', 'random forest']
        >>> report.comparisons.loc[0, ["method", "reference", "score"]].to_list()
        ['random forest', 'head only', 'kappa']
        >>> figure = report.plot()
    """
    from sslwear.config import from_python
    from sslwear.studies.evaluations.added_baselines import with_baselines
    from sslwear.studies.evaluations.cross_validation import evaluate_study

    settings = from_python(question, {}, "evaluate")
    with progress_shown(progress, epochs=False) as callback:
        scores = evaluate_study(settings, progress=callback)
    return EvaluationResult(with_baselines(settings)[0], scores)


def train(study: Settings | Mapping[str, Any] | str | Path, *, progress: bool = True) -> TrainingResult:
    """Train once with the settings under ``training``, without a search; test participants are not used.

    Args:
        study: the path of a study file, its content as a mapping, or settings.
        progress: whether to show progress, on a terminal or in a notebook.

    Raises:
        SslwearError: when settings, data or weights cannot be used.

    Example:
        >>> result = sslwear.train("my-study.yaml")
        >>> len(result.epochs), "kappa" in result.scores
        (1, True)
    """
    from sslwear.config import from_python
    from sslwear.studies.trial.single_run import train_once
    from sslwear.tracking import RUN_URI

    with progress_shown(progress, epochs=True) as callback:
        run, fit = train_once(from_python(study, {}, "train"), progress=callback)
    return TrainingResult(f"{RUN_URI}{run.id}", dict(fit.validation.scores), fit)


def pretrain(study: Settings | Mapping[str, Any] | str | Path, *, progress: bool = True) -> PretrainingResult:
    """Pre-train on the pretext task ``training.pretext``, or find the earlier run with the same settings.

    Args:
        study: the path of a study file, its content as a mapping, or settings.
        progress: whether to show progress, on a terminal or in a notebook.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or the pretext task is ``none``.

    Example:
        >>> changes = {"training": {"pretext": "reverse"}, "pretraining": {"max_epochs": 1}}
        >>> result = sslwear.pretrain(sslwear.load_settings("my-study.yaml", **changes))
        >>> sorted(result.scores)
        ['accuracy', 'chance']
    """
    from sslwear.config import from_python
    from sslwear.studies.trial.single_run import pretrain_once
    from sslwear.tracking import RUN_URI

    with progress_shown(progress, epochs=True) as callback:
        run_id, scores = pretrain_once(from_python(study, {}, "pretrain"), progress=callback)
    return PretrainingResult(f"{RUN_URI}{run_id}", scores)


def promote(
    study: StudyResult | EvaluationResult | str,
    *,
    trial: int | None = None,
    method: str | None = None,
    evaluation: bool = False,
    name: str | None = None,
    alias: str = "champion",
    score: str | None = None,
    rule: Literal["mean", "interval"] = "mean",
    margin: float = 0.0,
    force: str | None = None,
    progress: bool = True,
) -> Promotion:
    """Register a trial or a method of an evaluation unless it is worse than the champion.

    A trial and the champion are scored on the test participants. A method is compared with the champion by
    cross-validated scores. Its networks or baselines, one for each seed and member of an ensemble, are trained on all
    participants.

    Args:
        study: a study, an evaluation, or the name of either.
        trial: number of a finished trial; by default the best one.
        method: name of a method of the study's evaluation, in place of a trial.
        evaluation: whether to promote the best method of the study's evaluation, in place of a trial; an
            `EvaluationResult`, and the name of a study without trials, mean its evaluation anyway.
        name: name of the registered model; by default the study's.
        alias: alias that moves to the new version.
        score: score that is compared; by default the study's objective.
        rule: what must not be lower than the champion's: the ``mean`` difference over participants, or the lower end of
            its 95 % ``interval``, which needs at least five test participants.
        margin: difference that is still allowed.
        force: a reason to move the alias in any case, which is kept with the version.
        progress: whether to show the progress of trainings, on a terminal or in a notebook.

    Returns:
        Scores, differences and the decision; ``moved`` says whether the alias moved, and ``reason`` why.

    Raises:
        SslwearError: when study, trial, method, data or weights cannot be used, a method or one of its members
            searches or is a baseline without ``fitted``, or the two models cannot be compared.

    Example:
        >>> promotion = sslwear.promote("my-study")
        >>> promotion.name, promotion.alias, promotion.version
        ('my-study', 'champion', '1')
    """
    from sslwear.deployment.promotion import promotion
    from sslwear.tracking import Store

    store = Store.from_environment()
    of, evaluation = _candidate(study, trial, evaluation)
    with progress_shown(progress, epochs=False) as callback:
        return promotion.promote(
            of,
            store,
            trial,
            method,
            evaluation,
            name=name,
            alias=alias,
            score=score,
            rule=rule,
            margin=margin,
            force=force,
            progress=callback,
        )


def _candidate(study: StudyResult | EvaluationResult | str, trial: int | None, evaluation: bool) -> tuple[str, bool]:
    """Name of the study, and whether a method of its evaluation is meant in place of a trial."""
    if isinstance(study, EvaluationResult):
        return study.settings.study, trial is None or evaluation
    return study if isinstance(study, str) else study.name, evaluation
