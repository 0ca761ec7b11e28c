"""Repeat a training from what was logged of it, and see whether it gives the same numbers again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import optuna
import yaml
from mlflow.entities import Run as MlflowRun

from sslwear.config import Settings, TrainingSettings
from sslwear.config.schema import OLD_KEYS
from sslwear.data.pretraining import PretrainingData
from sslwear.errors import DataError, StudyError
from sslwear.studies.context import StudyContext
from sslwear.studies.cross_validation_job import run_job
from sslwear.studies.cross_validation_plan import CrossValidationPlan, Job
from sslwear.studies.pretraining import pretrain, pretraining_source, pretraining_windows
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.storage import open_storage
from sslwear.studies.trial import train
from sslwear.studies.trials import kept_settings
from sslwear.tracking import Run, Store, people, reading
from sslwear.tracking.provenance import provenance
from sslwear.training import EpochRecord, FeatureCache

KINDS = ("train", "trial", "pretraining", "cross_validation_job")
MARKS = ("transductive", "supervised")
"""Tags that a repeated run has from the one that it repeats."""
COMMIT = "mlflow.source.git.commit"


@dataclass(frozen=True)
class MetricDifference:
    """The first thing in which two runs differ: what they logged at a step under a name, nothing where they did not."""

    step: int
    name: str
    before: list[float]
    now: list[float]

    def __str__(self) -> str:
        values = (" and ".join(map(repr, some)) or "nothing" for some in (self.before, self.now))
        return f"{self.name} at step {self.step}: {' then, '.join(values)} now"


@dataclass(frozen=True)
class RerunResult:
    """What a rerun gave.

    Attributes:
        run_id: of the new run.
        metrics: how many there are, times and system metrics left out.
        values: how many they logged at all steps.
        differing: the first that is not the same to the bit; None where all are.
    """

    run_id: str
    metrics: int
    values: int
    differing: MetricDifference | None


class _Enough(Exception):  # noqa: N818 - no error, but the way out of the loop
    """The run that is repeated was ended after this epoch."""


def rerun(original: MlflowRun, store: Store, listener: ProgressCallback) -> RerunResult:
    """Repeat a training or a pre-training as a run of its own, tagged with the run that it repeats.

    The outputs of frozen blocks are computed anew. An encoder that a trial started from is the one that was pre-trained
    with the same settings and code, or else is pre-trained anew. A job of an evaluation is scored on its fold's test
    participants again, which says nothing new of them.

    Args:
        original: a run of one of `KINDS` that finished or was pruned.
        store: where it is, and where the new one goes.
        listener: hears of the epochs, and of what is not as it was.

    Raises:
        SslwearError: when it is no such run, its settings are gone, its data are others now, or cannot be used.
    """
    kind = _check(original)
    settings = _with_runtime(_settings(original, kind, store), original, listener)
    place = _place(settings, original, kind, store)
    context = StudyContext.open(settings, store) if place is None else place[0].of(place[1])
    _check_same(context, original, kind, listener)
    name, run_id = original.info.run_name, original.info.run_id
    what = f"Repeats [{name}](#/experiments/{original.info.experiment_id}/runs/{run_id})"
    with tempfile.TemporaryDirectory() as folder:
        cache = FeatureCache(Path(folder), int(settings.cache.memory_gb * 1e9), int(settings.cache.disk_gb * 1e9))
        fresh = replace(context, cache=cache)
        tags = {**fresh.tags(), "rerun_of": run_id, "repeats": kind}
        tags |= {name: mark for name in MARKS if (mark := reading.tag(original, name)) is not None}
        with store.running(original.info.experiment_id, f"rerun of {name}", "rerun", None, what, **tags) as run:
            run.text(settings.to_yaml(), reading.SETTINGS)
            if kind == "pretraining":
                pretrain(fresh, original.data.params["pretext"], run, listener)
            elif place is not None:
                plan = replace(place[0], context=replace(place[0].context, cache=cache))
                run_job(plan, place[1], run, run, {}, listener)
                _same_start(original, run, listener)
            else:
                _train(fresh, original, run, listener)
    found = compare(run_id, run.id, store)
    differs = "all metrics are identical" if found.differing is None else f"they differ, first in {found.differing}"
    run.describe(f"{what}: {differs}.")
    return found


def _place(settings: Settings, original: MlflowRun, kind: str, store: Store) -> tuple[CrossValidationPlan, Job] | None:
    """The evaluation that a run belongs to, and the job of it that it is, or that it pre-trained for; else None.

    Raises:
        StudyError: when its settings have no such job.
    """
    above = original.data.tags.get("mlflow.parentRunId")
    parent = store.run(above) if above is not None else None
    if parent is None or reading.kind_of(parent) != "cross_validation":
        if kind == "cross_validation_job":
            raise StudyError(
                f"the evaluation that the run {original.info.run_id} is job of was deleted, and its settings with it; "
                "restore it in the UI, or run sslwear evaluate again"
            )
        return None
    plan = CrossValidationPlan.build(settings, store)
    for job in plan.jobs:
        if kind == "cross_validation_job":
            own = [job.method.name, str(job.fold), str(job.seed)]
            found = own == [reading.tag(original, name) for name in ("method", "fold", "seed")]
        else:
            found = job.method.trains and _pretrained_alike(plan.of(job), original)
        if found:
            return plan, job
    raise StudyError(
        f"the evaluation that the run {original.info.run_id} is job of has no such job by its settings, so it cannot "
        "be repeated"
    )


def _pretrained_alike(context: StudyContext, original: MlflowRun) -> bool:
    """Whether a pre-training was of these participants, with this seed and these first weights."""
    params = original.data.params
    data = pretraining_windows(context, params["pretext"])
    whose = people(train=data.train.participants(), held_out=data.validation.participants())
    now = {**whose, "seed": str(context.settings.seed), "weights": context.origin}
    return all(params[name] == value for name, value in now.items())


def compare(before: str, now: str, store: Store) -> RerunResult:
    """Compare all that two runs measured at all steps, to the bit.

    Args:
        before: a run's id.
        now: the id of the run that repeats it.
        store: where they are.
    """
    old, new = reading.measured(store, before), reading.measured(store, now)
    differing = None
    for key in sorted({*old, *new}):
        values = old.get(key, []), new.get(key, [])
        if [value.hex() for value in values[0]] != [value.hex() for value in values[1]]:  # NaN is like NaN
            differing = MetricDifference(*key, *values)
            break
    return RerunResult(now, len({name for _, name in new}), sum(map(len, new.values())), differing)


def _check(original: MlflowRun) -> str:
    """The run's kind, if it can be repeated."""
    kind, outcome, run_id = reading.kind_of(original), reading.tag(original, "outcome"), original.info.run_id
    if kind not in KINDS:
        why = f"it repeats {reading.tag(original, 'rerun_of')}" if kind == "rerun" else f"its kind is {kind}"
        raise StudyError(f"the run {run_id} cannot be repeated, because {why}; give a run of {', '.join(KINDS)}")
    if (first := reading.tag(original, "duplicate_of")) is not None:
        raise StudyError(f"nothing was trained in the run {run_id}, which has the result of {first}; repeat that one")
    if (chosen := reading.tag(original, "chosen_run")) is not None:
        raise StudyError(f"nothing was trained in the run {run_id}, which chose {chosen}; repeat that one")
    if (members := reading.tag(original, "members")) is not None:
        raise StudyError(f"nothing was trained in the run {run_id}, which averages {members}; repeat one of these")
    if outcome not in ("finished", "pruned"):
        raise StudyError(f"the run {run_id} did not finish ({outcome or 'it is running'}); repeat one that did")
    return kind


def _settings(original: MlflowRun, kind: str, store: Store) -> Settings:
    """The settings that a run was done with: its own, or those of the run that it is nested under."""
    parent = original.data.tags.get("mlflow.parentRunId")
    for run_id in (original.info.run_id, parent):
        if run_id is not None and (found := reading.settings(store, run_id)) is not None:
            return _with_own(found, original) if kind == "trial" else found
    storage, name = open_storage(store), reading.tag(original, "study")
    if kind == "trial" and name in optuna.get_all_study_names(storage):  # one that has not come to its end
        return _with_own(kept_settings(optuna.load_study(study_name=name, storage=storage)), original)
    raise StudyError(
        f"the settings of the run {original.info.run_id} are gone from the store, so it cannot be repeated"
    )


def _with_own(settings: Settings, original: MlflowRun) -> Settings:
    """A study's settings with what a trial replaced in them, which it logged as parameters, that is, as text."""
    values: dict[str, Any] = settings.training.model_dump()
    for name, field in TrainingSettings.model_fields.items():
        logged_value = original.data.params.get(name)
        for old, new in OLD_KEYS.items():
            if new == name and logged_value is None:
                logged_value = original.data.params.get(old)
        if logged_value is not None:
            values[name] = logged_value if field.annotation is str else _read(logged_value)
    return settings.model_copy(update={"training": TrainingSettings.model_validate(values)})


def _read(text: str) -> Any:
    """A parameter's value, which MLflow keeps as text, as Python writes it."""
    return None if text == "None" else yaml.safe_load(text)


def _with_runtime(settings: Settings, original: MlflowRun, listener: ProgressCallback) -> Settings:
    """The settings with the device, precision and number of cores that were used, where they stood at ``auto``."""
    params, cores = original.data.params, joblib.cpu_count()
    if "threads" not in params:  # a baseline, which is no network
        return settings
    threads = int(params["threads"])
    if threads > cores:
        listener.warn(f"it was computed on {threads} cores and is now on {cores}, which may round differently")
        threads = cores
    update = {"threads": threads, "device": params["device"], "precision": params["precision"]}
    return settings.model_copy(update=update)


def _check_same(context: StudyContext, original: MlflowRun, kind: str, listener: ProgressCallback) -> None:
    """Refuse other data, and warn of other code and libraries.

    Raises:
        DataError: when the data are not those of the run.
    """
    data = PretrainingData((context.dataset,))
    if kind == "pretraining":
        data = pretraining_source(context, original.data.params["pretext"])
    before, run_id = reading.tag(original, "fingerprint"), original.info.run_id
    if data.fingerprint != before:
        raise DataError(
            f"{data.place} is not what the run {run_id} was done with: its fingerprint is {data.fingerprint[:12]} and "
            f"was {str(before)[:12]}; put the data back"
        )
    if kind == "pretraining" and not _pretrained_alike(context, original):
        raise DataError(
            f"the run {run_id} had other participants, seed or weights than its settings name now, so it cannot be "
            "repeated"
        )
    now = provenance()
    for tag, what in ((COMMIT, "commit of the code"), ("sslwear.versions", "libraries")):
        then, here = original.data.tags.get(tag, "unknown"), now.get(tag, "unknown")
        if then != here:
            listener.warn(f"the {what} may make a difference: {then} then, {here} now")
    if "true" in (reading.tag(original, "git_dirty"), now.get("sslwear.git_dirty")):
        listener.warn("the code had changes that were not committed, then or now, which may make a difference")


def _train(context: StudyContext, original: MlflowRun, run: Run, listener: ProgressCallback) -> None:
    """Fine-tune as the run did, and end after the epoch in which it was pruned, if it was."""
    after: Callable[[EpochRecord], None] | None = None
    if reading.tag(original, "outcome") == "pruned":
        last = max(step for step, _ in reading.measured(context.store, original.info.run_id))

        def stop(record: EpochRecord) -> None:
            if record.epoch >= last:
                raise _Enough

        after = stop
    try:
        train(context, context.settings.training, run, run.id, listener, after)
    except _Enough:
        listener.note(f"ended after epoch {last}, as the run that is repeated was")
    _same_start(original, run, listener)


def _same_start(original: MlflowRun, run: Run, listener: ProgressCallback) -> None:
    """Warn where a training started from another pre-training, or from another version of a model."""
    now = run.store.client.get_run(run.id)
    before, origin = (reading.tag(one, "pretraining_run") for one in (original, now))
    if origin != before:
        listener.warn(f"it starts from the pre-training {origin}, and the run started from {before}")
    before, origin = (one.data.params.get("weights") for one in (original, now))
    if origin != before:
        listener.warn(f"it starts from the weights {origin}, and the run started from {before}")
