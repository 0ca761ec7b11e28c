"""Runs a study: trials until their number or the time is spent, resumable after any interruption."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from filelock import Timeout
from mlflow.entities import Run as MlflowRun
from optuna.trial import TrialState

from sslwear.config import Settings, with_effect
from sslwear.errors import StudyError
from sslwear.studies import trials
from sslwear.studies.budget import Budget, end_note
from sslwear.studies.content import check_content
from sslwear.studies.context import StudyContext
from sslwear.studies.failures import check_failures, counted, failed_note, interrupt
from sslwear.studies.final_test import finalise
from sslwear.studies.first_trials import first_trials
from sslwear.studies.keys import digest
from sslwear.studies.leakage import check_weights
from sslwear.studies.mlflow_page import TRIAL, describe_experiment, study_note
from sslwear.studies.pretraining import check_pretraining
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.sampling import pruner, tuning_parameter
from sslwear.studies.search_trial import run_trial
from sslwear.studies.storage import open_storage, store_errors
from sslwear.studies.tested import is_tested
from sslwear.tracking import Run, Store, participant_params
from sslwear.utils.interrupts import signals_deferred

FREE_KEYS = ("trials", "hours", "device", "threads", "cache", "evaluation")
"""Settings that may differ when a study is resumed, because they do not change the result of a trial."""


def run_study(settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None) -> optuna.Study:
    """Run a study, or resume it.

    A trial that is interrupted, by the user or by an outage of a store, a disk, the memory or the device, does not
    count and is run again with the same parameters; a failed trial counts. Proposals depend only on the seed and the
    finished trials, so an interrupted study proposes the same trials as an uninterrupted one.

    Args:
        settings: the study file's.
        store: receives trials, runs and checkpoints; by default the store that the environment names.
        progress: receives progress; silent by default.

    Returns:
        The finished study.

    Raises:
        SslwearError: when settings, data or weights cannot be used, the weights were trained on test participants,
            another process runs the study, it was started with other settings, its data change meanwhile, an outage
            interrupts it, the last trials failed in the same way, or no trial finished.
        KeyboardInterrupt: when the user interrupts; no run is left open.
    """
    store, progress = store or Store.from_environment(), progress or ProgressCallback()
    with store_errors(store), alone(store, settings.study):
        context = StudyContext.open(settings, store)
        for warning in context.data_warnings():
            progress.warn(warning)
        check_weights(context)
        search, training = settings.search, settings.training
        check_pretraining(context, search.choices("pretext") or (training.pretext,))
        context.check_objective()
        study = _open(context)
        budget = Budget(study, settings)
        progress.study(settings.study, len(counted(study)), settings.trials)
        if budget.spent() is not None and _is_finalised(study, store):
            _note_failures(study, progress)
            return study
        with store.managed_run(lambda: _opened(context, study), lambda run: _clear(study, store, run)) as parent:
            _log_inputs(context, parent)
            _run_trials(context, study, budget, parent, progress)
            finalise(context, study, len(counted(study)), parent, progress)
        _note_failures(study, progress)
        return study


def _run_trials(
    context: StudyContext, study: optuna.Study, budget: Budget, parent: Run, progress: ProgressCallback
) -> None:
    """Run trials until their number or the hours are spent."""
    first = first_trials(context, tuning_parameter(study))
    budget.end(None)
    while (spent := budget.spent()) is None:
        try:
            run_trial(context, study, first, len(counted(study)), parent, progress)
        finally:
            budget.keep()
        check_failures(study, context.settings.trials)
    budget.end(spent)
    if context.settings.hours is not None and (note := end_note(study)) is not None:
        progress.note(note)


@contextmanager
def alone(store: Store, name: str) -> Iterator[None]:
    """Hold the lock of a study on this machine, so that a trial found running is from a dead process."""
    try:
        with store.lock(name, timeout_s=0):
            yield
    except Timeout as error:
        raise StudyError(
            f"another process on this machine is running the study {name!r}. Wait for it or stop it"
        ) from error


def _open(context: StudyContext) -> optuna.Study:
    """Open or create the Optuna study.

    Raises:
        StudyError: when it was started with other settings, data or weights, or by another program.
    """
    settings = context.settings
    storage = open_storage(context.store)
    context.store.experiment(settings.study)  # raises for a deleted experiment before a study is created
    identity = {
        "settings": settings.to_yaml(),
        "fingerprint": context.dataset.fingerprint,
        "weights": digest(context.initial),
    }
    with signals_deferred():
        study = optuna.create_study(
            study_name=settings.study,
            storage=storage,
            pruner=pruner(settings),
            direction="maximize",
            load_if_exists=True,
        )
        if "settings" in study.user_attrs:
            check_content(study)
        if not study.get_trials(deepcopy=False):
            for key in identity.keys() - study.user_attrs.keys():
                study.set_user_attr(key, identity[key])
    _check_same(study, identity, settings)
    return study


def _check_same(study: optuna.Study, now: Mapping[str, Any], settings: Settings) -> None:
    before = study.user_attrs
    kept = trials.kept_settings(study)
    new_name = f"choose a new name with --set study={settings.study}-2"
    old, new = (with_effect(one, "study").model_dump(exclude=set(FREE_KEYS)) for one in (kept, settings))
    given = set(_differences(kept.model_dump(), settings.model_dump()))
    for key in _differences(old, new):
        if key in given:  # and not only without effect in one of them
            raise StudyError(
                f"the study {settings.study!r} was started with another {key}. Restore the old value, or {new_name}"
            )
    for name, what in (("fingerprint", "other data"), ("weights", "other initial weights")):
        if before.get(name, now[name]) != now[name]:
            raise StudyError(f"the study {settings.study!r} was started with {what}. Restore them, or {new_name}")


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Keys at which two nested mappings differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in new:
            yield from _differences(old.get(name), new[name], f"{key}.{name}" if key else name)
    elif old != new:
        yield f"{key} ({old!r}, and now {new!r})"


def _known_parent(study: optuna.Study, store: Store) -> MlflowRun | None:
    """The study's run; None if there is none or it was deleted."""
    return store.find_run(study.user_attrs["run_id"]) if "run_id" in study.user_attrs else None


def _is_finalised(study: optuna.Study, store: Store) -> bool:
    """Whether the study's run was ended and its winner was scored."""
    known, best = _known_parent(study, store), trials.winner(study)
    closed = known is not None and known.info.status == "FINISHED"
    return closed and best is not None and is_tested(study, best.number)


def _opened(context: StudyContext, study: optuna.Study) -> Run:
    """The study's run, reopened or new."""
    store, settings = context.store, context.settings
    experiment_id = describe_experiment(context, study_note(context), TRIAL)
    known = _known_parent(study, store)
    if known is not None:
        run = Run(store, known.info.run_id, known.info.experiment_id)
        run.reopen()
    else:
        run = store.create_run(experiment_id, settings.study, "study", None, study_note(context), **context.tags())
        study.set_user_attr("run_id", run.id)
    _clear(study, store, run)
    return run


def _log_inputs(context: StudyContext, run: Run) -> None:
    """Log data set and parameters on the study's run, once."""
    settings, split = context.settings, context.split
    if run.has_params():
        return
    sides = {"train": split.train, "validation": split.validation, "test": split.test}
    run.plugins(settings.plugins)
    run.dataset(context.dataset, {side: len(context.windows(whose)) for side, whose in sides.items()})
    run.params(
        {
            **settings.model_dump(include={"data", "objective"}),
            **context.runtime_params(),
            **participant_params(**sides),
        }
    )


def _clear(study: optuna.Study, store: Store, parent: Run) -> None:
    """End runs that a dead process of this machine left open, and enqueue its trials again."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    here = platform.node()
    interrupt(study, [trial for trial in running if trial.user_attrs.get("host", here) == here])
    store.close_leftovers(parent.experiment, parent.id)


def _note_failures(study: optuna.Study, progress: ProgressCallback) -> None:
    if (note := failed_note(study)) is not None:
        progress.warn(note)
