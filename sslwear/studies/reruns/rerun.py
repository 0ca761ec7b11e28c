"""Repeats a training from what its run logged, and compares all metrics to the bit."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import optuna
from mlflow.entities import Run as MlflowRun

from sslwear.config import PretrainingSettings, Settings, TrainingSettings, from_yaml
from sslwear.config.kinds import SPELLINGS
from sslwear.data.pretraining import PretrainingData
from sslwear.errors import DataError, StudyError
from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.database.trials import kept_settings
from sslwear.studies.evaluations.job import run_job
from sslwear.studies.evaluations.method_networks import KIND as NETWORK
from sslwear.studies.evaluations.method_networks import log_on_everybody
from sslwear.studies.evaluations.plan import CrossValidationPlan, Job
from sslwear.studies.reruns.comparison import RerunResult, compare, warn_of_another_start
from sslwear.studies.reruns.place import (
    check_not_nested,
    find_job,
    pretrained_alike,
    pretraining_context,
    runs_above,
)
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.all_participants import LOSS, log_network
from sslwear.studies.trial.judgement import Judgement
from sslwear.studies.trial.judging import Watch, first_folds, judge
from sslwear.studies.trial.pretraining import pretrain, pretraining_source
from sslwear.studies.trial.training_run import train, training_params
from sslwear.tracking import Run, Store, participant_params, reading
from sslwear.tracking.offline_records import kept_elsewhere
from sslwear.tracking.provenance import provenance
from sslwear.training import EpochRecord, FeatureCache
from sslwear.utils.words import count

KINDS = ("train", "trial", "winner", "pretraining", "cross_validation_job", NETWORK)
COPIED_TAGS = ("transductive", "supervised")
"""Tags that a repeated run copies from the original."""
COMMIT = "mlflow.source.git.commit"


class _StopHere(Exception):  # noqa: N818 - ends the training and is no error
    """The original run was pruned here."""


class _Until(Watch):
    """Ends a trial where the original was pruned."""

    def __init__(self, folds: int, first: int, epochs: int) -> None:
        self._folds, self._first, self._epochs = folds, first, epochs

    def epoch(self, record: EpochRecord) -> None:
        """End in the first folds."""
        if self._folds <= self._first and record.epoch >= self._epochs:
            raise _StopHere

    def folds(self, judgement: Judgement, total: int) -> None:
        """End after a later fold."""
        if judgement.folds >= self._folds:
            raise _StopHere


def rerun(original: MlflowRun, store: Store, progress: ProgressCallback) -> RerunResult:
    """Repeat a training or a pre-training as a new run, tagged with the original.

    Outputs of frozen blocks are computed again. A pre-trained encoder is that of an earlier run with the same settings,
    or is pre-trained again. A cross-validation job is scored on its fold's test participants again, which gives no new
    information about them.

    Args:
        original: a run of one of `KINDS` that finished or was pruned.
        store: store of the original and the new run.
        progress: receives epochs, and warnings of differences in code, libraries and threads.

    Raises:
        SslwearError: when it is no such run, its settings are missing, or its data changed or cannot be used.
    """
    kind = _check(original, store.remote)
    check_not_nested(original, store)
    experiment = store.experiment(store.client.get_experiment(original.info.experiment_id).name)  # not a deleted one
    with tempfile.TemporaryDirectory() as folder:
        logged = _with_runtime(_settings(original, kind, store), original, progress)
        runs = [run.info.run_id for run in (original, *runs_above(original, store))]
        settings = reading.with_plugins(logged, store, runs, Path(folder))
        place = find_job(settings, original, kind, store)
        context = StudyContext.open(settings, store) if place is None else place[0].of(place[1])
        if kind == "pretraining" and place is None:
            context = pretraining_context(context, original)
        _check_same(context, original, kind, progress)
        name, run_id = original.info.run_name, original.info.run_id
        what = f"Repeats [{name}](#/experiments/{original.info.experiment_id}/runs/{run_id})"
        cache = FeatureCache(Path(folder), int(settings.cache.memory_gb * 1e9), int(settings.cache.disk_gb * 1e9))
        fresh = replace(context, cache=cache, resumes=False)
        tags = {**fresh.tags(), "rerun_of": run_id, "repeats": kind}
        tags |= {name: mark for name in COPIED_TAGS if (mark := reading.tag(original, name)) is not None}
        with store.start_run(experiment, f"rerun of {name}", "rerun", None, what, **tags) as run:
            run.text(logged.to_yaml(), reading.SETTINGS)
            _repeat(fresh, place, original, kind, run, progress)
    found = compare(run_id, run.id, store)
    differs = "all metrics are identical" if found.differing is None else f"they differ, first in {found.differing}"
    run.describe(f"{what}: {differs}.")
    return found


def _repeat(
    context: StudyContext,
    place: tuple[CrossValidationPlan, Job] | None,
    original: MlflowRun,
    kind: str,
    run: Run,
    progress: ProgressCallback,
) -> None:
    """Repeat a run in a new one; `place` is the evaluation and the job of a run that belongs to one."""
    if kind == "pretraining":
        pretrain(context, original.data.params["pretext"], run, progress)
    elif place is not None and kind == NETWORK:
        log_on_everybody(context, place[1].method.training, int(original.data.params["best_epoch"]), run, run, progress)
        warn_of_another_start(original, run, progress)
    elif place is not None:
        plan = replace(place[0], context=replace(place[0].context, cache=context.cache, resumes=False))
        again = replace(place[1], key=f"{place[1].key}-{run.id}")  # a search is not to find its own trials
        run_job(plan, again, run, run, {}, progress)
        warn_of_another_start(original, run, progress)
    elif kind == "winner":
        training, people = context.settings.training, context.on_all().split.train
        epochs, objective = int(original.data.params["best_epoch"]), context.settings.objective
        scores: dict[str, float] = {objective: original.data.metrics[objective]}  # of the search, not repeated
        run.params({**training_params(context, training), **participant_params(train=people), "best_epoch": epochs})
        run.dataset(context.dataset, {"train": len(context.windows(people))})  # leakage checks need both
        log_network(context, training, epochs, scores, run, run, progress)
        warn_of_another_start(original, run, progress)
    else:
        _train(context, original, run, progress)


def _check(original: MlflowRun, remote: bool) -> str:
    """Kind of a run that can be repeated; it may be on a server that was away.

    Raises:
        StudyError: when it cannot be repeated.
    """
    kind, outcome, run_id = reading.kind_of(original), reading.tag(original, "outcome"), original.info.run_id
    if kind not in KINDS:
        why = f"it repeats {reading.tag(original, 'rerun_of')}" if kind == "rerun" else f"its kind is {kind}"
        raise StudyError(f"the run {run_id} cannot be repeated, because {why}. Choose a run of {', '.join(KINDS)}")
    if (first := reading.tag(original, "duplicate_of")) is not None:
        raise StudyError(f"the run {run_id} trained nothing: it copies the result of {first}. Repeat that run")
    if (chosen := reading.tag(original, "chosen_run")) is not None:
        raise StudyError(f"the run {run_id} trained nothing: it selected {chosen}. Repeat that run")
    if (members := reading.tag(original, "members")) is not None:
        raise StudyError(f"the run {run_id} trained nothing: it averages {members}. Repeat one of these")
    if kind == NETWORK and (baseline := original.data.params.get("baseline")) is not None:
        raise StudyError(
            f"the run {run_id} fitted the baseline {baseline}, and has no metrics to compare. Choose a network's run"
        )
    if (processes := original.data.params.get("processes")) is not None:
        raise StudyError(
            f"the run {run_id} was trained by {processes} processes, and one process cannot repeat it to the last bit. "
            "Start the same command with torchrun again"
        )
    if outcome not in ("finished", "pruned"):
        advice = f"{kept_elsewhere(original)}, or choose another run" if remote else "Choose one that did"
        raise StudyError(f"the run {run_id} did not finish ({outcome or 'it is running'}). {advice}")
    return kind


def _settings(original: MlflowRun, kind: str, store: Store) -> Settings:
    """Settings of a run: its own, or those of its parent run."""
    for run in (original, *runs_above(original, store)):
        if (found := reading.settings(store, run.info.run_id)) is not None:
            return _with_own(found, original) if kind in ("trial", "winner") else found
    storage, name = open_storage(store), reading.tag(original, "study")
    if kind == "trial" and name in optuna.get_all_study_names(storage):  # a trial of a study that has not ended
        return _with_own(kept_settings(optuna.load_study(study_name=name, storage=storage)), original)
    raise StudyError(f"the store has no settings of the run {original.info.run_id}, so it cannot be repeated")


def _with_own(settings: Settings, original: MlflowRun) -> Settings:
    """A study's settings with the values that a trial logged as parameters, which are text."""
    params = {SPELLINGS.get(name, name): value for name, value in original.data.params.items()}
    update = {}
    for section, prefix in (("training", ""), ("pretraining", "pretraining.")):
        before: TrainingSettings | PretrainingSettings = getattr(settings, section)
        values = before.model_dump()
        for name, field in type(before).model_fields.items():
            if (text := params.get(prefix + name)) is not None:
                values[name] = text if field.annotation is str else _read(text)
        update[section] = before.model_validate(values)
    return settings.model_copy(update=update)


def _read(text: str) -> Any:
    """Value of a parameter, which MLflow stores as the text that Python prints."""
    return None if text == "None" else from_yaml(text)


def _with_runtime(settings: Settings, original: MlflowRun, progress: ProgressCallback) -> Settings:
    """Settings with the device, precision and threads that the original run used."""
    params, cores = original.data.params, joblib.cpu_count()
    if "threads" not in params:  # a baseline
        return settings
    threads = int(params["threads"])
    if threads > cores:
        here = f"this machine has {count(cores, 'core')}"
        progress.warn(f"the original used {count(threads, 'thread')}, {here}: rounding may differ")
        threads = cores
    update = {"threads": threads, "device": params["device"], "precision": params["precision"]}
    return settings.model_copy(update=update)


def _check_same(context: StudyContext, original: MlflowRun, kind: str, progress: ProgressCallback) -> None:
    """Check that the data are unchanged, and warn of other code and libraries.

    Raises:
        DataError: when the data changed.
    """
    data = PretrainingData((context.dataset,))
    if kind == "pretraining":
        data = pretraining_source(context, original.data.params["pretext"])
    before, run_id = reading.tag(original, "fingerprint"), original.info.run_id
    if data.fingerprint != before:
        raise DataError(
            f"{data.place} changed since the run {run_id}: its fingerprint is {data.fingerprint[:12]} and was "
            f"{str(before)[:12]}. Restore the data"
        )
    if kind == "pretraining" and not pretrained_alike(context, original):
        raise DataError(
            f"by its settings, the run {run_id} would have other participants, seed or weights now, so it cannot be "
            "repeated"
        )
    now = provenance()
    for tag, what in ((COMMIT, "another commit of the code"), ("sslwear.versions", "other libraries")):
        then, here = original.data.tags.get(tag, "unknown"), now.get(tag, "unknown")
        if then != here:
            progress.warn(f"{what}: {then} then, {here} now")
    if "true" in (reading.tag(original, "git_dirty"), now.get("sslwear.git_dirty")):
        progress.warn("the code had uncommitted changes then or now, which may change results")


def _train(context: StudyContext, original: MlflowRun, run: Run, progress: ProgressCallback) -> None:
    """Train as the original did: in folds if it was a study's trial, until it was pruned if it was."""
    training, watch = context.settings.training, None
    if reading.kind_of(original) != "trial":
        train(context, training, run, run.id, progress)
        warn_of_another_start(original, run, progress)
        return
    if reading.tag(original, "outcome") == "pruned":
        metrics, first = original.data.metrics, first_folds(context)
        last = max(step for step, _ in reading.metric_history(context.store, original.info.run_id))
        watch = _Until(int(metrics.get("folds_done", first)), first, int(metrics.get("epochs", last)))
    try:
        judgement = judge(context, training, run, run.id, progress, watch)
        if LOSS in original.data.metrics:  # later commands of the study may keep checkpoints or not
            log_network(context, training, judgement.epochs, judgement.means, run, run, progress)
    except _StopHere:
        progress.note("ended where the original was pruned")
    warn_of_another_start(original, run, progress)
