"""One training or one pre-training with the settings of a file, without a search."""

from __future__ import annotations

from sslwear.config import Settings
from sslwear.errors import LeakageError
from sslwear.studies.database.optuna_storage import store_errors
from sslwear.studies.results.mlflow_page import describe_experiment, single_note
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.data_checks import check_objective
from sslwear.studies.setup.leakage import check_judged, seen_in_words
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining import pretrained
from sslwear.studies.trial.pretraining_checks import check_pretext, check_pretraining
from sslwear.studies.trial.torchrun import leading
from sslwear.studies.trial.training_checkpoints import resumable
from sslwear.studies.trial.training_run import note, run_name, train
from sslwear.tracking import Run, Store
from sslwear.training import FitResult
from sslwear.training.processes import Processes


def train_once(
    settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None
) -> tuple[Run, FitResult]:
    """Train once and score on validation participants; test participants are not used.

    Under torchrun this is the first process; the others call `sslwear.studies.trial.torchrun.take_part`.

    Returns:
        The ended run and the result of the training.

    Raises:
        SslwearError: when settings, data or weights cannot be used.
    """
    store, progress = store or Store.from_environment(settings=settings), progress or ProgressCallback()
    with store_errors(store), leading(settings) as (mine, processes):
        context = _build(mine, store, progress, processes)
        check_objective(context.dataset, context.judged, settings.objective)
        _warn_of_weights(context, progress)
        name, what = run_name(settings.training), note(settings.training)
        place = describe_experiment(context, single_note(context))
        with (
            resumable([context], settings.training, progress, "single") as kept,
            store.start_run(place, name, "train", note=what, **context.tags()) as run,
        ):
            run.text(context.settings.to_yaml(), "settings.yaml")
            run.plugins(settings.plugins)
            checkpoints = kept[0] if kept else None
            result = train(context, settings.training, run, run.id, progress, checkpoints=checkpoints)
        return run, result


def pretrain_once(
    settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None
) -> tuple[str, dict[str, float]]:
    """Pre-train once on the pretext task `training.pretext`, or find the run that did; see `train_once`.

    Returns:
        The run's id and the scores on held-out participants.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or the pretext task is ``none``.
    """
    pretext = settings.training.pretext
    check_pretext(pretext)
    store, progress = store or Store.from_environment(settings=settings), progress or ProgressCallback()
    with store_errors(store), leading(settings) as (mine, processes):
        context = _build(mine, store, progress, processes)
        place = describe_experiment(context, single_note(context))
        _, run_id = pretrained(context, place, pretext, None, progress)
        metrics = store.client.get_run(run_id).data.metrics
    by_epoch = {name.removeprefix("val_") for name in metrics if name.startswith("val_")}
    return run_id, {name: value for name, value in metrics.items() if name in by_epoch - {"loss"}}


def _warn_of_weights(context: StudyContext, progress: ProgressCallback) -> None:
    """Warn where the initial weights know those who validate, so that the scores say less than they seem to."""
    try:
        if unlabelled := check_judged(context, context.settings.weights):
            progress.warn(seen_in_words(unlabelled))
    except LeakageError as error:  # nothing is selected by the scores here, as it is in a study
        progress.warn(str(error))


def _build(settings: Settings, store: Store, progress: ProgressCallback, processes: Processes) -> StudyContext:
    single = settings.model_copy(update={"split": settings.split.for_training()})
    context = StudyContext.open(single, store, processes=processes)
    check_pretraining(context, [settings.training.pretext])
    for warning in context.data_warnings():
        progress.warn(warning)
    return context
