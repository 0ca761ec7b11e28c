"""Promotion of a trial: it is compared with the champion on the test participants."""

from __future__ import annotations

import math

import optuna
from mlflow.entities.model_registry import ModelVersion
from optuna.trial import FrozenTrial, TrialState

from sslwear.deployment import model_package, registry
from sslwear.deployment.promotion.champion import (
    Promotion,
    Request,
    comparison_text,
    decide,
    differences_of,
    find_champion,
    move,
)
from sslwear.deployment.promotion.registration import register_trial, score_intervals
from sslwear.encoders.card import Card
from sslwear.errors import SettingsError, StudyError, WeightsError
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.tested_trials import count_evaluation, past_evaluations
from sslwear.studies.database.trials import kept_settings, network_run, no_winner, training_of, winner
from sslwear.studies.results.summary import description
from sslwear.studies.results.verdict import report
from sslwear.studies.search.final_test import AS_USED, HeldOutScores, score_network, score_trained
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.leakage import seen_participants
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.winner import trial_network
from sslwear.studies.workers.identity import identity_of
from sslwear.studies.workers.team import Team, team_name
from sslwear.tracking import Run, Store
from sslwear.tracking.provenance import PREFIX
from sslwear.utils.interrupts import signals_deferred


def promote_trial(
    study_name: str, store: Store, trial_number: int | None, request: Request, progress: ProgressCallback
) -> Promotion:
    """Compare a trial with the champion on the test participants, and move the alias if the rule allows it.

    Args:
        study_name: name of the study.
        store: store of the study.
        trial_number: number of the candidate trial; None for the best one.
        request: model, alias and rule.
        progress: receives the training of the trial's network, if it is not kept.

    Raises:
        SslwearError: when study, trial, data or weights cannot be used, workers run the study, or the models cannot be
            compared and no `force` is given.
    """
    study = find_study(study_name, store)
    if Team(store, team_name(study_name)).others():
        raise StudyError(f"workers are running the study {study_name!r}. Wait for them or stop them")
    trial = _finished_trial(study, trial_number)
    known = _registered_version(store, request.name, study, trial)
    champion = find_champion(store, request.name, request.alias)
    if known is not None and champion is not None and known.version == champion.version:
        reason = f"trial {trial.number} is {request.name}@{request.alias} already, version {known.version}"
        taken, count = str(known.version), len(past_evaluations(study))
        return Promotion(request.name, request.alias, trial.number, {}, taken, {}, {}, taken, False, reason, count)
    context = _open_context(study, store, read_weights=network_run(study, trial) is None)
    model_package.check_encoder(context.encoder)
    return _compare(context, study, trial, request, known, champion, progress)


def _finished_trial(study: optuna.Study, number: int | None) -> FrozenTrial:
    if number is None:
        best = winner(study)
        if best is None:
            why = no_winner(study) or "No trial has finished yet. Run the study first"
            raise StudyError(f"{study.study_name!r} has no winner. {why}")
        return best
    found = {trial.number: trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if number not in found:
        advice = f"Choose one of {', '.join(map(str, found))}" if found else "Run the study first"
        raise StudyError(f"trial {number} of {study.study_name!r} has not finished. {advice}")
    return found[number]


def _registered_version(store: Store, name: str, study: optuna.Study, trial: FrozenTrial) -> ModelVersion | None:
    """Version that was registered from the trial before; None if there is none."""
    run_id, own = network_run(study, trial), study.study_name
    if run_id is None:
        return None
    mine = [v for v in registry.versions(store, name) if v.run_id == run_id and v.tags.get(f"{PREFIX}study") == own]
    return mine[0] if mine else None


def _open_context(study: optuna.Study, store: Store, read_weights: bool) -> StudyContext:
    """Context of the study; its initial weights are needed only if the trial's network is trained.

    Raises:
        StudyError: when the data, their classes or participants have changed since the study was run.
    """
    settings = kept_settings(study)
    context = StudyContext.open(settings, store, read_weights=read_weights)
    now = identity_of(context)
    for name, what in (
        ("fingerprint", "other data"),
        ("classes", "other names of the classes, or another order of them,"),
        ("window", "windows of another length in samples"),
        ("split", "other participants in its folds or its test"),
    ):
        if study.user_attrs.get(name, now[name]) != now[name]:
            raise StudyError(
                f"{context.dataset.folder} has {what} than when {study.study_name!r} was run. Restore what it had"
            )
    return context


def _compare(
    context: StudyContext,
    study: optuna.Study,
    trial: FrozenTrial,
    request: Request,
    known: ModelVersion | None,
    champion: ModelVersion | None,
    progress: ProgressCallback,
) -> Promotion:
    if champion is not None and request.force is None and (why := request.rule.undecided(len(context.split.test))):
        raise StudyError(f"{why}. Use --rule mean, or --force REASON")
    parent = _parent(context, study)
    network, run_id = trial_network(context, study, trial, parent, progress)
    with signals_deferred():
        count_evaluation(study, trial.number, f"promotion of trial {trial.number}")
    candidate = score_trained(context, network, training_of(trial), AS_USED)
    champion_result, caveat = _score_champion(context, champion, request)
    parent.describe(description(report(study)))
    parent.table(candidate.table, f"promotions/trial-{trial.number}.csv")
    mine = score_intervals(candidate.table)
    theirs = score_intervals(champion_result.table) if champion_result is not None else {}
    differences = differences_of(candidate.table, champion_result.table) if champion_result is not None else {}
    allowed, reason = decide(request, champion, differences, caveat)
    version = str(known.version) if known is not None else None
    if allowed:
        comparison = comparison_text(request, champion, theirs, differences, reason)
        if known is None:
            known = register_trial(
                context, study, trial, run_id, request.name, request.alias, network, candidate, comparison
            )
        version = str(known.version)
        move(context.store, request, known, champion, reason)
    return Promotion(
        name=request.name,
        alias=request.alias,
        trial=trial.number,
        scores=mine,
        champion=str(champion.version) if champion is not None else None,
        champion_scores=theirs,
        differences=differences,
        version=version,
        moved=allowed,
        reason=reason,
        test_evaluations=len(past_evaluations(study)),
    )


def _parent(context: StudyContext, study: optuna.Study) -> Run:
    """Run of the study."""
    return Run(context.store, study.user_attrs["run_id"], context.store.experiment(context.settings.study))


def _score_champion(
    context: StudyContext, champion: ModelVersion | None, request: Request
) -> tuple[HeldOutScores | None, str]:
    """Scores of the champion on the test participants, and a caveat if it was trained on some of them.

    Raises:
        StudyError: when it cannot be compared and no force is requested.
    """
    if champion is None:
        return None, ""
    seen = seen_participants(context.store, registry.uri_of(champion), context.dataset, context.split.test)
    try:
        model = registry.load_model(context.store, registry.uri_of(champion), context.device)
        _check_length(context, model.card)
        found = score_network(context, model.network, model.card.window_samples, model.card.class_names)
    except (StudyError, WeightsError, SettingsError) as error:
        if request.force is None:
            raise StudyError(
                f"{request.name}@{request.alias}, version {champion.version}, cannot be compared: {error}. Give the "
                "new model another --name, or --force REASON"
            ) from error
        return None, f": {error}"
    caveat = f"; the champion was trained on the test participants {', '.join(seen)}, which favours it" if seen else ""
    return found, caveat


def _check_length(context: StudyContext, card: Card) -> None:
    """Check that a model takes windows of the study's length in seconds; others would be stretched in time.

    Raises:
        StudyError: when it takes other windows.
    """
    seconds = context.dataset.window_s
    if seconds is not None and not math.isclose(seconds, card.window_s, rel_tol=0.01):
        raise StudyError(f"it takes windows of {card.window_s:g} s, and {context.dataset.folder} has {seconds:g} s")
