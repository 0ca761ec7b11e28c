"""One training, or one pre-training, with a file's fixed settings."""

from __future__ import annotations

from sslwear.config import Settings
from sslwear.studies.context import StudyContext
from sslwear.studies.mlflow_page import describe_experiment, single_note
from sslwear.studies.pretraining import check_pretext, check_pretraining, pretrained
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.storage import store_errors
from sslwear.studies.trial import note, run_name, train
from sslwear.tracking import Run, Store
from sslwear.training import FitResult


def train_once(
    settings: Settings, store: Store | None = None, listener: ProgressCallback | None = None
) -> tuple[Run, FitResult]:
    """Train with the fixed settings, scored on validation participants; test participants are not looked at.

    Returns:
        The run, ended, and what the training gave.

    Raises:
        SslwearError: when settings, data or weights cannot be used.
    """
    store, listener = store or Store.from_environment(), listener or ProgressCallback()
    with store_errors(store):
        context = _build(settings, store, listener)
        name, what = run_name(settings.training), note(settings.training)
        place = describe_experiment(context, single_note(context))
        with store.running(place, name, "train", note=what, **context.tags()) as run:
            run.text(settings.to_yaml(), "settings.yaml")
            return run, train(context, settings.training, run, run.id, listener)


def pretrain_once(
    settings: Settings, store: Store | None = None, listener: ProgressCallback | None = None
) -> tuple[str, dict[str, float]]:
    """Pre-train on the pretext task of the fixed settings, or find the run that did.

    Returns:
        The run's id, and the scores on the held-out participants.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or the pretext task is ``none``.
    """
    pretext = settings.training.pretext
    check_pretext(pretext)
    store, listener = store or Store.from_environment(), listener or ProgressCallback()
    with store_errors(store):
        context = _build(settings, store, listener)
        place = describe_experiment(context, single_note(context))
        _, run_id = pretrained(context, place, pretext, None, listener)
        metrics = store.client.get_run(run_id).data.metrics
    by_epoch = {name.removeprefix("val_") for name in metrics if name.startswith("val_")}
    return run_id, {name: value for name, value in metrics.items() if name in by_epoch - {"loss"}}


def _build(settings: Settings, store: Store, listener: ProgressCallback) -> StudyContext:
    context = StudyContext.open(settings, store)
    check_pretraining(context, [settings.training.pretext])
    for warning in context.window_length_warnings():
        listener.warn(warning)
    return context
