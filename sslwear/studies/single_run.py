"""One training or one pre-training with the settings of a file, without a search."""

from __future__ import annotations

from sslwear.config import Settings
from sslwear.studies.context import StudyContext
from sslwear.studies.mlflow_page import describe_experiment, single_note
from sslwear.studies.pretraining import pretrained
from sslwear.studies.pretraining_checks import check_pretext, check_pretraining
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.storage import store_errors
from sslwear.studies.trial import note, run_name, train
from sslwear.tracking import Run, Store
from sslwear.training import FitResult


def train_once(
    settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None
) -> tuple[Run, FitResult]:
    """Train once and score on validation participants; test participants are not used.

    Returns:
        The ended run and the result of the training.

    Raises:
        SslwearError: when settings, data or weights cannot be used.
    """
    store, progress = store or Store.from_environment(), progress or ProgressCallback()
    with store_errors(store):
        context = _build(settings, store, progress)
        context.check_objective()
        name, what = run_name(settings.training), note(settings.training)
        place = describe_experiment(context, single_note(context))
        with store.start_run(place, name, "train", note=what, **context.tags()) as run:
            run.text(context.settings.to_yaml(), "settings.yaml")
            run.plugins(settings.plugins)
            return run, train(context, settings.training, run, run.id, progress)


def pretrain_once(
    settings: Settings, store: Store | None = None, progress: ProgressCallback | None = None
) -> tuple[str, dict[str, float]]:
    """Pre-train once on the pretext task `training.pretext`, or find the run that did.

    Returns:
        The run's id and the scores on held-out participants.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or the pretext task is ``none``.
    """
    pretext = settings.training.pretext
    check_pretext(pretext)
    store, progress = store or Store.from_environment(), progress or ProgressCallback()
    with store_errors(store):
        context = _build(settings, store, progress)
        place = describe_experiment(context, single_note(context))
        _, run_id = pretrained(context, place, pretext, None, progress)
        metrics = store.client.get_run(run_id).data.metrics
    by_epoch = {name.removeprefix("val_") for name in metrics if name.startswith("val_")}
    return run_id, {name: value for name, value in metrics.items() if name in by_epoch - {"loss"}}


def _build(settings: Settings, store: Store, progress: ProgressCallback) -> StudyContext:
    single = settings.model_copy(update={"split": settings.split.for_training()})
    context = StudyContext.open(single, store)
    check_pretraining(context, [settings.training.pretext])
    for warning in context.data_warnings():
        progress.warn(warning)
    return context
