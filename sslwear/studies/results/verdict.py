"""The verdict of a study: its trials, what cannot be told from the best one, and how sure the scores are."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from itertools import takewhile

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import Settings
from sslwear.data.splits import Split
from sslwear.encoders.base import get as get_encoder
from sslwear.errors import SettingsError
from sslwear.evaluation.intervals import Interval, interval
from sslwear.evaluation.selection import (
    FEWEST_CORRECTED,
    corrected_estimate,
    finding,
    group_means,
    outside,
    standard_error,
)
from sslwear.reports.study_report import Rated, StudyReport, TrialResult
from sslwear.studies.database.budget import end_note
from sslwear.studies.database.tested_trials import past_evaluations, people_of
from sslwear.studies.database.trials import (
    PEOPLE,
    SELECT,
    TrialRow,
    alike_trials,
    best_trial,
    effective,
    eligible,
    is_by_participant,
    kept_settings,
    no_winner,
    pareto_front,
    rows,
    score_of,
    scores_table,
    settings_of,
    training_of,
    winner,
)
from sslwear.studies.results.baseline import kept_baseline
from sslwear.studies.results.importances import importances
from sslwear.studies.setup.leakage import seen_in_words
from sslwear.studies.setup.limits import MEASURED
from sslwear.tuning.base import parse as parse_tuning
from sslwear.utils import plugins
from sslwear.utils.words import count, shown

JUDGED = "judged"
"""Attribute of a study: how its trials are judged, in words."""
NOT_CORRECTED = (
    "The estimate of the winner is its own mean, which is too high: it is corrected for choosing among the trials only "
    f"with {FEWEST_CORRECTED} participants or more."
)
CORRECTED = (
    "The estimate of the winner is corrected for choosing among the trials: each participant counts with the scores of "
    "trials that were chosen without that participant (bootstrap bias-corrected cross-validation)."
)


def judged_in_words(settings: Settings, folds: tuple[Split, ...], unlabelled: Sequence[str] = ()) -> str:
    """How the trials of a study are judged, in a sentence or two.

    Args:
        settings: the study's.
        folds: its folds, or its hold-out.
        unlabelled: participants who judge, and whose windows the initial weights know without labels.
    """
    people = len({participant for fold in folds for participant in fold.validation})
    what = f"mean {settings.objective} over {count(people, 'participant')}"
    with_labels, known = (" with labels", f" {seen_in_words(unlabelled)}.") if unlabelled else ("", "")
    if settings.split.folds is None:
        return f"Trials are judged by the {what} of a hold-out, who are not in the training data.{known}"
    cuts = count(len(folds) // settings.split.repeats, "fold")
    repeated = f", {settings.split.repeats} times" if settings.split.repeats > 1 else ""
    return (
        f"Trials are judged by the {what} in {cuts}{repeated}: each participant is scored by a network that was not "
        f"trained on that participant{with_labels}.{known}"
    )


def report(study: optuna.Study) -> StudyReport:
    """What a person is told about a study."""
    settings, table = kept_settings(study), scores_table(study)
    alike = alike_trials(study, table)
    best = winner(study, alike)
    every, candidate = rows(study), set(alike)
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}  # with those that began meanwhile
    searched = tuple(settings.search.space)
    results = tuple(_result(row, trials[row.number], row.number in candidate, searched) for row in every)
    own = _default(study, settings)
    selected = _selected(study, best, table)
    pareto = pareto_front(eligible(study), study.directions) if settings.second_objective is not None else ()
    compared = set(table.index)
    known = [row for row in every if row.number in compared and row.settings is not None]
    by = {name: {row.number: str(getattr(row.settings, name)) for row in known} for name in ("tuning", "pretext")}
    return StudyReport(
        name=study.study_name,
        objective=settings.objective,
        data=settings.data,
        encoder=settings.encoder,
        weights=settings.weights,
        judged=study.user_attrs.get(JUDGED, "Trials are judged by the score over all windows of a hold-out."),
        trials=results,
        winner=None if best is None else best.number,
        selection=_selection(study, best, alike),
        finding=_finding(settings, alike, known, table.dropna(axis="columns").shape[1]),
        estimate_note=_estimate_note(study, table),
        selected=selected,
        default=None if own is None or not len(table) else _rated(own, f"trial {own.number}"),
        baseline=_baseline(study),
        warning=_warning(selected),
        notes=tuple(text for text in (end_note(study),) if text is not None),
        groups={name: group_means(table, groups) for name, groups in by.items() if len(table)},
        importances=importances(study),
        pareto=pareto,
        second=settings.second_objective,
        test_evaluations=len(past_evaluations(study)),
        excluded=_excluded(study),
    )


def _finding(settings: Settings, alike: list[int], known: list[TrialRow], participants: int) -> str:
    """What the trials that cannot be told from the best have in common; empty with fewer than two trials."""
    if len(known) < 2:
        return ""
    properties = {name: {row.number: shown(row.searched(name)) for row in known} for name in settings.search.space}
    try:
        plugins.load_files(settings.plugins)
        blocks = get_encoder(settings.encoder).block_names()
        first_of = functools.cache(functools.partial(_first_tuned, settings=settings))
        first = {row.number: first_of(row.settings.tuning if row.settings else "all") for row in known}
    except SettingsError:  # the file of a plug-in is gone
        blocks, first = (), {}
    return finding(alike, len(known), properties, first, blocks, participants)


def _first_tuned(tuning: str, settings: Settings) -> int:
    """Place of the first block that a tuning strategy tunes; the number of blocks if it tunes the head only."""
    encoder = get_encoder(settings.encoder)
    frozen = parse_tuning(tuning, encoder).frozen
    return len(list(takewhile(frozen.__contains__, encoder.block_names())))


def _estimate_note(study: optuna.Study, table: pd.DataFrame) -> str:
    """How the estimate is corrected for choosing among the trials of a table of scores."""
    if len(table) < 2:
        return ""
    if table.dropna(axis="columns").shape[1] < FEWEST_CORRECTED:
        return NOT_CORRECTED
    if study.user_attrs.get(SELECT, "best") == "simplest":
        return f"{CORRECTED} It is the estimate of taking the best trial, although the simplest one is selected."
    return CORRECTED


def estimate(study: optuna.Study) -> Interval | None:
    """Mean score of the winner over participants, corrected for the choice; None without scores by participant."""
    table = scores_table(study)
    return corrected_estimate(table) if len(table) else None


def _result(row: TrialRow, trial: FrozenTrial, candidate: bool, searched: Sequence[str]) -> TrialResult:
    # The mean of a trial that ended early is that of its last epoch, of the first folds, which may have other people.
    error = standard_error(list(row.participants.values())) if trial.state == TrialState.COMPLETE else math.nan
    measured = trial.user_attrs.get(MEASURED, {})
    parameters = measured.get("trainable_parameters")
    curve = tuple(value for _, value in sorted(trial.intermediate_values.items()))
    return TrialResult(
        number=row.number,
        outcome=row.outcome,
        searched={name: row.searched(name) for name in searched},
        tuning=row.settings.tuning if row.settings else "-",
        pretext=row.settings.pretext if row.settings else "-",
        mean=row.value,
        error=None if math.isnan(error) else error,
        participants=row.participants,
        epochs=trial.user_attrs.get("best_epoch", row.epochs),
        seconds=row.seconds,
        parameters=None if parameters is None else int(parameters),
        windows_per_second=measured.get("windows_per_second"),
        candidate=candidate,
        run_id=row.run_id,
        curve=curve,
        second=trial.values[1] if trial.values and len(trial.values) > 1 else None,
        repeats="duplicate_of" in trial.user_attrs,
    )


def _default(study: optuna.Study, settings: Settings) -> FrozenTrial | None:
    """The finished trial with the study file's own settings."""
    own, rate = effective(settings), settings.training.learning_rate
    for one in eligible(study):
        kept = one.user_attrs.get("settings")
        if isinstance(kept, Mapping) and kept.get("learning_rate", rate) != rate:  # which is soon told
            continue
        if effective(settings_of(one, settings)) == own:
            return one
    return None


def _rated(trial: FrozenTrial, name: str) -> Rated | None:
    people = trial.user_attrs.get(PEOPLE)
    if people is None:
        return None
    return Rated(name, interval(list(people.values())), None, people, trial=trial.number)


def _selected(study: optuna.Study, best: FrozenTrial | None, table: pd.DataFrame) -> Rated | None:
    if best is None:
        return None
    tested = people_of(study, best.number)
    people, found = (best.user_attrs.get(PEOPLE, {}), corrected_estimate(table)) if len(table) else ({}, None)
    test = interval(list(tested.values())) if tested else None
    return Rated(f"trial {best.number}", found, test, people, tested, best.number)


def _baseline(study: optuna.Study) -> Rated | None:
    kept = kept_baseline(study)
    if kept is None:
        return None
    scores, tested = kept["scores"], kept["test"]
    return Rated(kept["name"], interval(list(scores.values())), interval(list(tested.values())), scores, tested)


def _selection(study: optuna.Study, best: FrozenTrial | None, alike: list[int]) -> str:
    if best is None:
        return no_winner(study)
    highest, keeping = best_trial(study), eligible(study)
    limited = " of the trials that keep the constraint" if _excluded(study) else ""
    if highest is None or not alike or study.user_attrs.get(SELECT, "best") == "best":
        value, what = score_of(best) or 0.0, "mean" if is_by_participant(study) else "score"
        return (
            f"Trial {best.number} is selected, because it has the best {what}{limited} ({value:.3f}){_shared(keeping)}."
        )
    if len(keeping) < 2:
        kept = " and keeps the constraint" if limited else ""
        return f"Trial {best.number} is selected, because no other one has finished{kept}."
    if len(alike) < 2:
        return (
            f"Trial {best.number} is selected (select: simplest), because it is the best{limited} and all others are "
            "worse."
        )
    parameters = best.user_attrs[MEASURED]["trainable_parameters"]
    return (
        f"Trial {best.number} is selected (select: simplest) of the {len(alike)} trials that cannot be told from the "
        f"best, trial {highest.number}: none of them tunes fewer parameters ({parameters:,.0f}). Its tuning strategy "
        f"is {training_of(best).tuning}."
    )


def _excluded(study: optuna.Study) -> int:
    """Number of finished trials that do not keep the constraint, without those that repeat others."""
    complete, keeping = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)), eligible(study)
    kept = {trial.number for trial in keeping}
    return sum(trial.number not in kept and "duplicate_of" not in trial.user_attrs for trial in complete)


def _shared(trials: Sequence[FrozenTrial]) -> str:
    """Over which participants trials are compared, if the score of some is undefined in a trial."""
    people = [set(trial.user_attrs.get(PEOPLE, ())) for trial in trials]
    shared = set.intersection(*people)
    if all(one == shared for one in people) or not shared:
        return ""
    return f", compared over the {count(len(shared), 'participant')} whose score is defined in all trials"


def _warning(selected: Rated | None) -> str | None:
    if selected is None or selected.estimate is None or selected.test is None:
        return None
    return outside(selected.estimate, selected.test)
