"""Runs a study: trials until their number or the time is spent, resumable after any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial

import optuna
from mlflow.entities import Run as MlflowRun

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.database import trials
from sslwear.studies.database.budget import Budget
from sslwear.studies.database.content_check import check_content
from sslwear.studies.database.failures import counted, failed_note
from sslwear.studies.database.optuna_storage import open_storage, store_errors
from sslwear.studies.database.tested_trials import is_tested
from sslwear.studies.results.baseline import is_scored
from sslwear.studies.results.mlflow_page import TRIAL, describe_experiment, study_note
from sslwear.studies.results.verdict import JUDGED, judged_in_words
from sslwear.studies.search.final_test import finalise
from sslwear.studies.search.sampling import pruner
from sslwear.studies.search.trials_loop import run_trials
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.data_checks import check_objective, fold_warnings, search_warnings
from sslwear.studies.setup.leakage import check_judged, check_weights, seen_in_words
from sslwear.studies.setup.limits import directions
from sslwear.studies.setup.names import check_baseline
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining_checks import check_pretraining
from sslwear.studies.trial.winner import FinaliserReplacedError
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.studies.workers.identity import check_same, identity_of
from sslwear.studies.workers.team import Crew, team_name
from sslwear.tracking import Run, Store, participant_params, reading
from sslwear.tracking.client import TRACKING_VARIABLE, unless_away
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.masking import masked
from sslwear.utils.paths import is_folder, user_path

EXPERIMENT = "experiment"
"""Attribute of a study: its experiment in MLflow, by which another MLflow store is recognised."""


def run_study(
    settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None, joint: bool = False
) -> optuna.Study:
    """Run a study, or resume it.

    A trial that is interrupted, by the user or by an outage of a store, a disk, the memory or the device, does not
    count and is run again with the same parameters; a failed trial counts. Proposals depend only on the seed and the
    finished trials, so an interrupted study proposes the same trials as an uninterrupted one.

    Args:
        settings: the study file's.
        store: receives trials, runs and checkpoints; by default the store that the environment or the settings name.
        progress: receives progress; silent by default.
        joint: whether other processes may run the study on this machine too. On other machines they always may.

    Returns:
        The finished study.

    Raises:
        SslwearError: when settings, data or weights cannot be used, the weights were trained on test participants or
            with labels of those who judge, another process runs the study, it was started with other settings, its data
            change meanwhile, an outage interrupts it, the last trials failed in the same way, or no trial finished.
        KeyboardInterrupt: when the user interrupts; no run is left open.
    """
    store, progress = store or Store.from_environment(settings=settings), progress or ProgressCallback()
    exclusive = nullcontext() if joint else alone(store, settings.study)
    with store_errors(store), exclusive:
        context = StudyContext.open(_as_started(settings, store), store)
        settings = context.settings
        unlabelled = _check(context, progress)
        study = _open(context, store, unlabelled)
        budget = Budget(study, settings)
        progress.study(settings.study, len(counted(study)), settings.trials)
        if budget.spent() is None or not _is_finalised(study, store, settings):
            crew = Crew(store, study, joint)
            with crew.joined(), _study_run(context, study, crew) as parent:
                _log_inputs(context, parent)
                run_trials(context, study, budget, parent, crew, progress)
                _finalise(context, study, parent, crew, progress)
        _note_failures(study, progress)
        return study


def _check(context: StudyContext, progress: ProgressCallback) -> list[str]:
    """Check what a study needs, and warn of what is unusual; see `check_judged` for what it returns."""
    settings, search = context.settings, context.settings.search
    if settings.baseline is not None:
        check_baseline(settings.baseline, "baseline")
    folds = fold_warnings(context.dataset, context.folds)
    for warning in [*context.data_warnings(), *folds, *search_warnings(settings)]:
        progress.warn(warning)
    check_weights(context)
    unlabelled = check_judged(context, settings.weights)
    if unlabelled:
        progress.warn(seen_in_words(unlabelled))
    for fold in context.folds:
        check_pretraining(context.in_fold(fold), search.choices("pretext") or (settings.training.pretext,))
    check_objective(context.dataset, context.judged, settings.objective)
    return unlabelled


@contextmanager
def _study_run(context: StudyContext, study: optuna.Study, crew: Crew) -> Iterator[Run]:
    """The run that the workers of a study share.

    When the block raises, what this worker has in hand is given back, and the last worker ends the run.
    """
    run: Run | None = None
    try:
        with crew.asking(), signals_deferred():
            run = _opened(context, study)
        crew.runs(run)
        yield run
    except BaseException as error:
        with signals_deferred():
            crew.leave(error, run)
            if run is not None:
                with unless_away(context.store, error):
                    context.store.close_leftovers(run.experiment, run.id)
        raise


def _finalise(context: StudyContext, study: optuna.Study, parent: Run, crew: Crew, progress: ProgressCallback) -> None:
    """Finalise a study whose trials have all ended, once: one worker does it, and another one if that one dies."""
    store, settings = context.store, context.settings
    right = f"finalise:{settings.study}"
    while True:
        with crew.heartbeat.trying(right) as mine, suppress(FinaliserReplacedError):
            if mine:
                if not _is_finalised(study, store, settings):
                    if crew.joint:
                        progress.note("this worker finalises the study")
                    has_right = partial(crew.heartbeat.claims.has, right)
                    finalise(context, study, len(counted(study)), parent, progress, has_right)
                    with signals_deferred():
                        parent.end("FINISHED", "finished")
                return
        crew.check_stopped()
        crew.wait()


def alone(store: Store, name: str) -> AbstractContextManager[None]:
    """Hold the lock of a study on this machine, so that a trial found running is from a dead process."""
    busy = f"another process on this machine is running the study {name!r}. Wait for it or stop it"
    return store.lock(f"study-{name}", busy)  # other locks have names of their own


def _as_started(settings: Settings, store: Store) -> Settings:
    """The settings, with folds or validation as a study was started where its file gives neither."""
    split = settings.split
    if split.folds is not None or split.validation is not None:
        return settings
    storage = open_storage(store)
    if settings.study not in optuna.get_all_study_names(storage):
        return settings
    study = optuna.load_study(study_name=settings.study, storage=storage)
    if "settings" not in study.user_attrs:
        return settings
    before = trials.kept_settings(study).split
    started = {"folds": before.folds, "validation": before.validation}
    return settings.model_copy(update={"split": split.model_copy(update=started)})


def _open(context: StudyContext, store: Store, unlabelled: Sequence[str]) -> optuna.Study:
    """Open or create the Optuna study.

    Args:
        context: the study's.
        store: its store.
        unlabelled: participants who judge the trials, and whose windows the initial weights know without labels.

    Raises:
        StudyError: when it was started with other settings, data or weights, or by another program.
    """
    settings = context.settings
    storage = open_storage(store)
    store.experiment(settings.study)  # raises for a deleted experiment before a study is created
    identity = identity_of(context)
    with heartbeat_of(store).holding(team_name(settings.study)), signals_deferred():
        study = optuna.create_study(
            study_name=settings.study,
            storage=storage,
            pruner=pruner(settings),
            directions=directions(settings),
            load_if_exists=True,
        )
        if "settings" in study.user_attrs:
            check_content(study)
        _check_store(study, store)
        if not study.get_trials(deepcopy=False):
            for key in identity.keys() - study.user_attrs.keys():
                study.set_user_attr(key, identity[key])
            if trials.BY_PARTICIPANT not in study.user_attrs:
                study.set_user_attr(trials.BY_PARTICIPANT, True)
                study.set_user_attr(JUDGED, judged_in_words(settings, context.folds, unlabelled))
    check_same(study, identity, settings)
    kept = trials.kept_settings(study)
    if kept.data != settings.data and not is_folder(user_path(kept.data)):  # the data were moved, see `check_same`
        study.set_user_attr("settings", kept.model_copy(update={"data": settings.data}).to_yaml())
    study.set_user_attr(trials.SELECT, settings.select)
    return study


def _check_store(study: optuna.Study, store: Store) -> None:
    """Check that a study's runs are in this MLflow store, and note which one it is at the start.

    Raises:
        StudyError: when they are in another one.
    """
    experiment = store.client.get_experiment(store.experiment(study.study_name))
    now = f"{experiment.experiment_id}, created {experiment.creation_time}"
    if EXPERIMENT not in study.user_attrs and "run_id" not in study.user_attrs:
        study.set_user_attr(EXPERIMENT, now)
    if study.user_attrs.get(EXPERIMENT, now) != now and _known_parent(study, store) is None:
        raise StudyError(
            f"the runs of the study {study.study_name!r} are not in the MLflow store {masked(store.tracking_uri)}. "
            f"Set {TRACKING_VARIABLE} or --tracking to the store with which the study was started, or choose a new "
            f"name with --set study={study.study_name}-2"
        )


def _known_parent(study: optuna.Study, store: Store) -> MlflowRun | None:
    """The study's run; None if there is none or it was deleted."""
    return store.find_run(study.user_attrs["run_id"]) if "run_id" in study.user_attrs else None


def _is_finalised(study: optuna.Study, store: Store, settings: Settings) -> bool:
    """Whether the study's run was ended and tells how its winner is selected, and winner and baseline were scored."""
    known, best = _known_parent(study, store), trials.winner(study)
    if known is None or known.info.status != "FINISHED" or best is None:
        return False
    how = reading.tag(known, trials.SELECT)  # None by an earlier version
    told = reading.tag(known, "best_trial") == str(best.number) and how in (None, study.user_attrs[trials.SELECT])
    return told and is_tested(study, best.number) and is_scored(study, settings.baseline)


def _opened(context: StudyContext, study: optuna.Study) -> Run:
    """The study's run, reopened or new."""
    store, settings = context.store, context.settings
    note = study_note(context, study.user_attrs.get(JUDGED, ""))
    experiment_id = describe_experiment(context, note, TRIAL)
    known = _known_parent(study, store)
    if known is not None:
        run = Run(store, known.info.run_id, known.info.experiment_id)
        run.reopen()
    else:
        run = store.create_run(experiment_id, settings.study, "study", None, note, **context.tags())
        study.set_user_attr("run_id", run.id)
    store.close_leftovers(run.experiment, run.id)
    return run


def _log_inputs(context: StudyContext, run: Run) -> None:
    """Log data set and parameters on the study's run, once."""
    settings, split = context.settings, context.split
    if run.has_params():
        return
    sides = {"train": split.train, "validation": context.judged, "test": split.test}
    run.plugins(settings.plugins)
    run.dataset(context.dataset, {side: len(context.windows(whose)) for side, whose in sides.items()})
    run.params(
        {
            **settings.model_dump(include={"data", "objective"}),
            **context.runtime_params(),
            **participant_params(**sides),
        }
    )


def _note_failures(study: optuna.Study, progress: ProgressCallback) -> None:
    if (note := failed_note(study)) is not None:
        progress.warn(note)
