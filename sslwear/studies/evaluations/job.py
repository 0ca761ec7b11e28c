"""One cross-validation job: a method trained in a fold with a seed, and scored on the fold's test participants."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
from mlflow.entities import Run as MlflowRun
from numpy.typing import NDArray

from sslwear.errors import StudyError
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.evaluation.participants import validation_title
from sslwear.evaluation.smoothing import fit_smoothing, smooth_predictions
from sslwear.studies.database.trials import logged_settings, score_of, training_of
from sslwear.studies.evaluations.plan import CrossValidationPlan, Job
from sslwear.studies.evaluations.probe import open_probe
from sslwear.studies.evaluations.results import CONFUSION, PARTICIPANTS, validation_means
from sslwear.studies.results.verdict import estimate
from sslwear.studies.search.final_test import HeldOutScores, score_predictions, score_trained
from sslwear.studies.search.trials_loop import search_in_fold
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import NestedProgress, ProgressCallback
from sslwear.studies.trial.all_participants import fit_on_all, resumable_on_all
from sslwear.studies.trial.judgement import confusion_table
from sslwear.studies.trial.training_checkpoints import resumable
from sslwear.studies.trial.training_run import first_encoder, note, train
from sslwear.studies.trial.winner import trial_network
from sslwear.tracking import MAX_PARAM, Run, participant_params, reading
from sslwear.training import Windows
from sslwear.utils.words import count

TRANSDUCTIVE = "transductive: pre-training used windows of test participants, without labels"
PROBABILITIES = "test_probabilities.csv"
SUPERVISED_NOTE = "supervised pre-training: the encoder was trained on the labels of {}"


def job_name(job: Job) -> str:
    """Name of a job: ``first block, fold 2, seed 42``."""
    if job.method.given.over_seeds:
        return f"{job.method.name}, fold {job.fold}, all seeds"
    return f"{job.method.name}, fold {job.fold}, seed {job.seed}"


def run_job(
    plan: CrossValidationPlan,
    job: Job,
    parent: Run,
    run: Run,
    done: Mapping[str, MlflowRun],
    progress: ProgressCallback,
) -> float:
    """Train a method in a fold with a seed, score it once on the fold's test participants, and log it.

    Args:
        plan: the evaluation.
        job: one of its jobs.
        parent: parent run of pre-training.
        run: an open run; the caller ends it.
        done: finished jobs by key.
        progress: receives the epochs.

    Returns:
        Mean of the objective over the test participants; NaN if it is undefined for all.
    """
    context, objective = plan.of(job).for_run(), plan.context.settings.objective
    members = _members(job, done)
    if job.method.given.select_on_validation:
        what, value = _select_on_validation(members, objective, run, plan)
    else:
        run.params(participant_params(**vars(job.split)))
        if job.method.given.ensemble:
            what, tested = _ensemble(plan, job, members, context, run)
        elif job.method.given.search is not None:
            what, tested = _searched(job, context, run, progress)
        elif job.method.given.baseline is not None:
            what, tested = _baseline(plan, job, context, run)
        elif job.method.given.probe is not None:
            what, tested = _probed(plan, job, context, parent, run, progress)
        else:
            what, tested = _trained(plan, job, context, parent, run, progress)
        if tested.probabilities is not None:
            run.text(_probability_table(context, tested.probabilities), PROBABILITIES)
        run.metrics(tested.metrics)
        run.table(tested.table, PARTICIPANTS)
        run.table(confusion_table(tested.truth, tested.predicted, context.dataset.class_names), CONFUSION)
        value = tested.means[objective]
    marks = [TRANSDUCTIVE] if plan.settings.transductive else []
    marks += [SUPERVISED_NOTE.format(", ".join(job.method.supervised))] if job.method.supervised else []
    mark = f" ({'; '.join(marks)})" if marks else ""
    seed = "all seeds" if job.method.given.over_seeds else f"seed {job.seed}"
    run.describe(f"{what}\n\nFold {job.fold}, {seed}: mean {objective} of the test participants {value:.3f}{mark}.")
    return value


def _members(job: Job, done: Mapping[str, MlflowRun]) -> dict[tuple[str, int], MlflowRun]:
    """Finished jobs that a job combines, by method and seed.

    Raises:
        StudyError: when one of them did not finish.
    """
    if missing := [name for (name, _), key in job.members.items() if key not in done]:
        raise StudyError(f"the method {missing[0]}, which it combines, did not finish")
    return {member: done[key] for member, key in job.members.items()}


def _select_on_validation(
    members: Mapping[tuple[str, int], MlflowRun], objective: str, run: Run, plan: CrossValidationPlan
) -> tuple[str, float]:
    """Copy the member with the best objective on the fold's validation participants; the first one of equals."""
    runs = {name: member for (name, _), member in members.items()}
    values = validation_means(plan.context.store, runs, objective)
    best = max(values, key=lambda name: values[name])
    chosen = runs[best]
    run.copy(chosen.info.run_id)
    run.tags(chosen=best, chosen_run=chosen.info.run_id)
    run.text(plan.context.store.read_text(chosen, PARTICIPANTS), PARTICIPANTS)
    with suppress(StudyError):  # a run of an earlier version has no confusions
        run.text(plan.context.store.read_text(chosen, CONFUSION), CONFUSION)
    said = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    what = f"Selected `{best}` by {validation_title(objective)}: {said}. Nothing was trained again."
    return what, float(reading.current_names(chosen.data.metrics)[f"test_{objective}"])


def _ensemble(
    plan: CrossValidationPlan,
    job: Job,
    members: Mapping[tuple[str, int], MlflowRun],
    context: StudyContext,
    run: Run,
) -> tuple[str, HeldOutScores]:
    """Predict the class with the highest mean probability over the members."""
    names = tuple(dict.fromkeys(name for name, _ in members))
    run.params({"ensemble": "; ".join(names)[:MAX_PARAM]})
    run.tags(members=" ".join(member.info.run_id for member in members.values()))
    told = [_told(one, plan.settings.methods[name].baseline, seed, context) for (name, seed), one in members.items()]
    columns = [f"p_{name}" for name in context.dataset.class_names]
    mean = np.mean([table[columns].to_numpy() for table in told], axis=0)
    over = ""
    if job.method.given.over_seeds:
        seeds = list(dict.fromkeys(seed for _, seed in members))
        run.tags(averaged_seeds=" ".join(map(str, seeds)))
        over = f" over {count(len(seeds), 'seed')}"
    what = f"Averages the probabilities of {', '.join(f'`{name}`' for name in names)}{over}. Nothing was trained again."
    return what, score_predictions(context, mean.argmax(axis=1))


def _told(member: MlflowRun, baseline: str | None, seed: int, context: StudyContext) -> pd.DataFrame:
    """Class probabilities of an ensemble's member, a network or a baseline.

    A baseline that finished before its probabilities were kept is fitted again, and its run gets them.
    """
    try:
        return pd.read_csv(StringIO(context.store.read_text(member, PROBABILITIES)))
    except StudyError:
        if baseline is None:
            raise
    with context.unchanged_data():
        found = get_baseline(baseline)().probabilities(*_sides(context), len(context.dataset.class_names), seed)
    text = _probability_table(context, found)
    Run(context.store, member.info.run_id, member.info.experiment_id).text(text, PROBABILITIES)
    return pd.read_csv(StringIO(text))


def _sides(context: StudyContext) -> tuple[Windows, Windows, Windows]:
    """Training, validation and test windows."""
    split = context.split
    return context.windows(split.train), context.windows(split.validation), context.windows(split.test)


def _probability_table(context: StudyContext, probabilities: NDArray[np.float64]) -> str:
    """CSV table of the test participants' windows: participant, row in the data set, class probabilities."""
    windows = context.windows(context.split.test)
    columns = [f"p_{name}" for name in context.dataset.class_names]
    table = pd.DataFrame(probabilities, columns=columns).round(6)
    table.insert(0, "participant", windows.pid)
    table.insert(1, "row", windows.rows)
    return table.to_csv(index=False)


def _trained(
    plan: CrossValidationPlan, job: Job, context: StudyContext, parent: Run, run: Run, progress: ProgressCallback
) -> tuple[str, HeldOutScores]:
    training, what = job.method.training, note(job.method.training)
    with ExitStack() as stack:
        kept = stack.enter_context(resumable([context], training, progress, "with validation"))
        keep, checkpoints = plan.settings.keep_checkpoints, kept[0] if kept else None
        result = train(context, training, run, parent.id, progress, keep=keep, checkpoints=checkpoints)
        network, epochs = result.network, result.best_epoch
        if plan.settings.refit:
            encoder = first_encoder(context, training, run, parent.id, progress)
            checkpoints = stack.enter_context(resumable_on_all(context, training, encoder, epochs, progress))
            network = fit_on_all(context, training, encoder, epochs, checkpoints)
            what += f" Refitted for {count(epochs, 'epoch')} on training and validation participants."
        tested = score_trained(context, network, training, context.precision)
        if plan.settings.smoothing == "hmm":
            tested = _smoothed(context, result.validation.predicted, tested)
    return what, tested


def _searched(job: Job, context: StudyContext, run: Run, progress: ProgressCallback) -> tuple[str, HeldOutScores]:
    """Search inside of the fold, and score the selected trial's network on the fold's test participants."""
    progress = NestedProgress(progress, job_name(job))
    inner, study, best = search_in_fold(context, job.method.given, job.method.training, job.key, run, progress)
    training, objective = training_of(best), context.settings.objective
    network, run_id = trial_network(inner, study, best, run, progress)
    tested = score_trained(context, network, training, context.precision)
    found = estimate(study)
    run.params({**logged_settings(best), "trials": job.method.given.trials, "folds": len(inner.folds)})
    run.tags(best_trial=str(best.number), best_run=run_id)
    run.metrics({f"best_{objective}": score_of(best) or 0.0, **({"estimate": found.mean} if found else {})})
    said = f"estimated {objective} {found.text()}" if found is not None else ""
    return f"Selected trial {best.number} of {job.method.given.trials}, {said}. {note(training)}", tested


def _baseline(plan: CrossValidationPlan, job: Job, context: StudyContext, run: Run) -> tuple[str, HeldOutScores]:
    name, classes = str(job.method.given.baseline), len(context.dataset.class_names)
    baseline, (train, validation, test) = get_baseline(name)(), _sides(context)
    run.dataset(context.dataset, {"train": len(train), "validation": len(validation)})
    run.params({"baseline": name, "seed": job.seed})
    with context.unchanged_data():
        found = baseline.probabilities(train, validation, test, classes, job.seed)
        tested = replace(score_predictions(context, found.argmax(axis=1)), probabilities=found)
        if plan.settings.smoothing == "hmm":  # fitted again: the first fit may have used the validation participants
            tested = _smoothed(context, baseline.predict(train, train, validation, classes, job.seed), tested)
    return f"The baseline `{name}`.", tested


def _probed(
    plan: CrossValidationPlan, job: Job, context: StudyContext, parent: Run, run: Run, progress: ProgressCallback
) -> tuple[str, HeldOutScores]:
    """Fit a linear probe to training and validation participants, and score it on the fold's test participants."""
    train, validation, test = _sides(context)
    probe = open_probe(context, job.method.given.encoder, job.method.training, run, parent.id, progress)
    run.dataset(context.dataset, {"train": len(train), "validation": len(validation)})
    run.params({**probe.params, "probe": job.method.given.probe})
    with context.unchanged_data():
        found, strength = probe.fit([train, validation], test)
        tested = replace(score_predictions(context, found.argmax(axis=1)), probabilities=found)
        if plan.settings.smoothing == "hmm":  # fitted again: the first fit used the validation participants
            on_validation, _ = probe.fit([train], validation)
            tested = _smoothed(context, on_validation.argmax(axis=1), tested)
    run.metrics({"probe_strength": strength})
    return f"A logistic regression on the features of {probe.title}, C = {strength:g}.", tested


def _smoothed(context: StudyContext, on_validation: NDArray[np.int64], tested: HeldOutScores) -> HeldOutScores:
    """Smoothed predictions for test participants; probabilities stay unsmoothed."""
    sides = (context.split.train, context.split.validation, context.split.test)
    train, validation, test = (context.windows(side).rows for side in sides)
    model = fit_smoothing(context.dataset, train, validation, on_validation)
    found = score_predictions(context, smooth_predictions(context.dataset, test, tested.predicted, model))
    return replace(found, probabilities=tested.probabilities)
