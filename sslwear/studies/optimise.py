"""Runs a study: trials until their number is reached, resumable after any interruption."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from filelock import Timeout
from mlflow.entities import Run as MlflowRun
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import Settings
from sslwear.errors import SslwearError, StudyError
from sslwear.studies import trials
from sslwear.studies.context import StudyContext, digest
from sslwear.studies.final_test import finalise, is_tested
from sslwear.studies.leakage import check_weights
from sslwear.studies.mlflow_page import TRIAL, describe_experiment, study_note
from sslwear.studies.pretraining import check_pretraining
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.sampling import earlier_duplicate, next_trial, pruner, suggest, tuning_parameter
from sslwear.studies.storage import open_storage, store_errors
from sslwear.studies.trial import note, run_name, train
from sslwear.studies.trials import OUTCOMES
from sslwear.tracking import Run, Store, participant_params
from sslwear.training import EpochRecord
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.masking import masked

FREE_KEYS = ("trials", "device", "threads", "cache", "evaluation")
"""Settings that may differ when a study is resumed, because they do not change the result of a trial."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def run_study(settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None) -> optuna.Study:
    """Run a study, or resume it.

    An interrupted trial does not count and is run again with the same parameters; a failed trial counts. Proposals
    depend only on the seed and the finished trials, so an interrupted study proposes the same trials as an
    uninterrupted one.

    Args:
        settings: the study file's.
        store: receives trials, runs and checkpoints; by default the store that the environment names.
        progress: receives progress; silent by default.

    Returns:
        The finished study.

    Raises:
        SslwearError: when settings, data or weights cannot be used, the weights were trained on test participants,
            another process runs the study, it was started with other settings, or no trial finished.
        KeyboardInterrupt: when the user interrupts; no run is left open.
    """
    store, progress = store or Store.from_environment(), progress or ProgressCallback()
    with store_errors(store), alone(store, settings.study):
        context = StudyContext.open(settings, store)
        for warning in context.data_warnings():
            progress.warn(warning)
        check_weights(context)
        search, training = settings.search, settings.training
        check_pretraining(context, (training.pretext,) if search.pretext is None else search.pretext)
        context.check_objective()
        study = _open(context)
        progress.study(settings.study, _finished(study), settings.trials)
        if _is_finalised(study, settings, store):
            return study
        with store.managed_run(lambda: _opened(context, study), lambda run: _clear(study, store, run)) as parent:
            _log_inputs(context, parent)
            while _finished(study) < settings.trials:
                _trial(context, study, parent, progress)
            finalise(context, study, _finished(study), parent, progress)
        return study


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
        if not study.get_trials(deepcopy=False):
            for key in identity.keys() - study.user_attrs.keys():
                study.set_user_attr(key, identity[key])
    _check_same(study, identity, settings)
    return study


def _check_same(study: optuna.Study, now: Mapping[str, Any], settings: Settings) -> None:
    before = study.user_attrs
    new_name = f"choose a new name with --set study={settings.study}-2"
    old = trials.kept_settings(study).model_dump(exclude=set(FREE_KEYS))
    changed = _difference(old, settings.model_dump(exclude=set(FREE_KEYS)))
    if changed:
        raise StudyError(
            f"the study {settings.study!r} was started with another {changed}. Restore the old value, or {new_name}"
        )
    for key, what in (("fingerprint", "other data"), ("weights", "other initial weights")):
        if before.get(key, now[key]) != now[key]:
            raise StudyError(f"the study {settings.study!r} was started with {what}. Restore them, or {new_name}")


def _difference(old: Any, new: Any, key: str = "") -> str | None:
    """First key at which two nested mappings differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in new:
            if found := _difference(old.get(name), new[name], f"{key}.{name}" if key else name):
                return found
        return None
    return None if old == new else f"{key} ({old!r}, and now {new!r})"


def _known_parent(study: optuna.Study, store: Store) -> MlflowRun | None:
    """The study's run; None if there is none or it was deleted."""
    return store.find_run(study.user_attrs["run_id"]) if "run_id" in study.user_attrs else None


def _is_finalised(study: optuna.Study, settings: Settings, store: Store) -> bool:
    """Whether the study is complete and its winner was scored."""
    known = _known_parent(study, store)
    closed = known is not None and known.info.status == "FINISHED"
    return closed and _finished(study) >= settings.trials and is_tested(study)


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
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get("host", platform.node()) != platform.node():
            continue
        interrupted = {*study.user_attrs.get("interrupted", []), trial.number}
        study.set_user_attr("interrupted", sorted(interrupted))
        study.tell(trial.number, state=TrialState.FAIL)
        if "settings" in trial.user_attrs:  # a trial that was only partly proposed will be proposed again
            study.enqueue_trial(trial.params)
    store.close_leftovers(parent.experiment, parent.id)


def _finished(study: optuna.Study) -> int:
    """Number of trials that count: all that were not interrupted."""
    interrupted = set(study.user_attrs.get("interrupted", []))
    return sum(trial.number not in interrupted for trial in study.get_trials(deepcopy=False, states=FINISHED))


def _trial(context: StudyContext, study: optuna.Study, parent: Run, progress: ProgressCallback) -> None:
    """Run one trial and record how it ended."""
    settings = context.settings
    with signals_deferred():
        trial = next_trial(context, study, _finished(study))
        trial.set_user_attr("host", platform.node())
        training = suggest(trial, context, tuning_parameter(study))
        trial.set_user_attr("settings", training.model_dump())
        name = run_name(training, trial.number)
        earlier = earlier_duplicate(study, training, context.store)
        tags = {**context.tags(), "trial": str(trial.number)}
        run = context.store.create_run(parent.experiment, name, "trial", parent.id, note(training), **tags)
        trial.set_user_attr("run_id", run.id)
        if earlier is not None:
            _copy_result(study, trial, earlier, run)
            progress.ended(f"{name}: the same as trial {earlier.number}", OUTCOMES[earlier.state], earlier.value)
            return

    progress.trial(name)

    def report_epoch(record: EpochRecord) -> None:
        trial.report(record.scores[settings.objective], record.epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        result = train(context, training, run, parent.id, progress, report_epoch)
        value = result.validation.scores[settings.objective]
        if math.isnan(value):
            raise SslwearError(f"{settings.objective} is undefined on the validation participants")
    except optuna.TrialPruned:
        with signals_deferred():
            run.describe(f"{note(training)}\n\nPruned: it scored worse than other trials at the same epoch.")
            run.end("KILLED", "pruned")
            study.tell(trial, state=TrialState.PRUNED)
        progress.ended(name, "pruned", None)
    except Exception as error:  # noqa: BLE001 - any error in a trial is recorded, and the study continues
        with signals_deferred():
            run.describe(f"{note(training)}\n\nFailed: `{type(error).__name__}: {error}`; see `traceback.txt`.")
            run.fail(error)
            trial.set_user_attr("error", masked(f"{type(error).__name__}: {error}"))
            study.tell(trial, state=TrialState.FAIL)
        progress.ended(name, "failed", None)
        progress.warn(f"{name} failed ({type(error).__name__}: {error}). Its run in the UI has the traceback")
    else:
        with signals_deferred():
            trial.set_user_attr("best_epoch", result.best_epoch)
            run.end("FINISHED", "finished")
            study.tell(trial, value)
        progress.ended(name, "finished", value)


def _copy_result(study: optuna.Study, trial: optuna.Trial, earlier: FrozenTrial, run: Run) -> None:
    """End a trial that repeats an earlier one with the earlier result."""
    first = earlier.user_attrs["run_id"]
    run.copy(first)
    run.tags(duplicate_of=first)
    run.describe(
        f"Same settings as [trial {earlier.number}](#/experiments/{run.experiment}/runs/{first}), whose result was "
        "copied. Figures and checkpoint are there."
    )
    trial.set_user_attr("duplicate_of", earlier.number)
    for epoch, value in earlier.intermediate_values.items():
        trial.report(value, epoch)
    if earlier.state == TrialState.PRUNED:
        run.end("KILLED", "pruned")
        study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.set_user_attr("best_epoch", earlier.user_attrs["best_epoch"])
        run.end("FINISHED", "finished")
        study.tell(trial, earlier.value)
