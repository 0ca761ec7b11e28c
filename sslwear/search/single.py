"""One training, or one pre-training, with a file's fixed settings."""

from __future__ import annotations

from sslwear.search.experiment import Experiment
from sslwear.search.listener import Listener
from sslwear.search.page import introduce, single_note
from sslwear.search.pretraining import check_pretext, check_pretraining, pretrained
from sslwear.search.storage import answering
from sslwear.search.trial import note, run_name, train
from sslwear.settings import Settings
from sslwear.tracking import Run, Store
from sslwear.training import FitResult


def train_once(
    settings: Settings, store: Store | None = None, listener: Listener | None = None
) -> tuple[Run, FitResult]:
    """Train with the fixed settings, scored on validation participants; test participants are not looked at.

    Returns:
        The run, ended, and what the training gave.

    Raises:
        SslwearError: when settings, data or weights cannot be used.
    """
    store, listener = store or Store.from_environment(), listener or Listener()
    with answering(store):
        experiment = _build(settings, store, listener)
        name, what = run_name(settings.training), note(settings.training)
        place = introduce(experiment, single_note(experiment))
        with store.running(place, name, "train", note=what, **experiment.tags()) as run:
            run.text(settings.to_yaml(), "settings.yaml")
            return run, train(experiment, settings.training, run, run.id, listener)


def pretrain_once(
    settings: Settings, store: Store | None = None, listener: Listener | None = None
) -> tuple[str, dict[str, float]]:
    """Pre-train on the pretext task of the fixed settings, or find the run that did.

    Returns:
        The run's id, and the scores on the held-out participants.

    Raises:
        SslwearError: when settings, data or weights cannot be used, or the pretext task is ``none``.
    """
    pretext = settings.training.pretext
    check_pretext(pretext)
    store, listener = store or Store.from_environment(), listener or Listener()
    with answering(store):
        experiment = _build(settings, store, listener)
        place = introduce(experiment, single_note(experiment))
        _, run_id = pretrained(experiment, place, pretext, None, listener)
        metrics = store.client.get_run(run_id).data.metrics
    by_epoch = {name.removeprefix("val_") for name in metrics if name.startswith("val_")}
    return run_id, {name: value for name, value in metrics.items() if name in by_epoch - {"loss"}}


def _build(settings: Settings, store: Store, listener: Listener) -> Experiment:
    experiment = Experiment.build(settings, store)
    check_pretraining(experiment, [settings.training.pretext])
    for warning in experiment.stretched():
        listener.warn(warning)
    return experiment
