"""Network of a trial, trained on all participants that are not test participants, for tests and promotion."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.trial import FrozenTrial

from sslwear.encoders import weights
from sslwear.encoders.base import Network
from sslwear.errors import ProcessLostError, StudyError, WeightsError
from sslwear.studies.database.trials import NETWORKS, network_run, score_of, settings_of, training_of
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.all_participants import log_network
from sslwear.studies.trial.training_run import note, run_name, training_params
from sslwear.tracking import RUN_URI, Run, participant_params, reading
from sslwear.tracking.checkpoints import load_weights
from sslwear.tracking.offline_records import kept_elsewhere
from sslwear.utils.interrupts import signals_deferred
from sslwear.utils.words import count

KIND = "winner"
"""Kind of the runs with these networks."""


class FinaliserReplacedError(ProcessLostError):
    """Another worker finalises the study, because this process was not heard of for a while.

    Like other errors of lost processes it interrupts a run, and does not let it fail.
    """


def check_mine(is_mine: Callable[[], bool]) -> None:
    """Check that this process still has the right to finalise a study.

    Raises:
        FinaliserReplacedError: when it has not.
    """
    if not is_mine():
        raise FinaliserReplacedError("another worker finalises the study")


def trial_network(
    context: StudyContext,
    study: optuna.Study,
    trial: FrozenTrial,
    parent: Run,
    progress: ProgressCallback,
    is_mine: Callable[[], bool] = lambda: True,
) -> tuple[Network, str]:
    """The network of a finished trial, which is trained if its weights are not kept, and the id of its run.

    Studies of version 0.1 have the network of each trial's best epoch.

    Args:
        context: the study's.
        study: has the trial.
        trial: the trial.
        parent: parent run of a training.
        progress: receives a note about a training.
        is_mine: whether this process still has the right to keep a network that it trained.

    Raises:
        StudyError: when its checkpoint is missing or damaged.
        FinaliserReplacedError: when the right was lost during the training.
    """
    run_id = network_run(study, trial)
    if run_id is None:
        return _fit(context, study, trial, parent, progress, is_mine)
    origin = f"{RUN_URI}{run_id}"
    encoder = context.encoder()
    network = Network(encoder, context.classification(training_of(trial)).head(encoder.features))
    try:
        state = load_weights(context.store, origin)
    except WeightsError as error:
        found = context.store.find_run(run_id) if context.store.remote else None
        if found is not None and reading.tag(found, "outcome") != "finished":
            raise StudyError(f"trial {trial.number} has no checkpoint yet. {kept_elsewhere(found)}") from error
        raise StudyError(
            f"the checkpoint of trial {trial.number} cannot be used ({error}). Restore the store from a backup, or "
            "start a new study with --set study=NAME"
        ) from error
    weights.load_network(network, state, origin)
    return network, run_id


def _fit(
    context: StudyContext,
    study: optuna.Study,
    trial: FrozenTrial,
    parent: Run,
    progress: ProgressCallback,
    is_mine: Callable[[], bool],
) -> tuple[Network, str]:
    """Train the network of a trial as a run of its own."""
    settings, epochs = settings_of(trial, context.settings), int(trial.user_attrs["best_epoch"])
    context, training = context.with_pretraining(settings.pretraining).for_run(), settings.training
    people = context.on_all().split.train
    name = f"{KIND}: {run_name(training, trial.number)}"
    progress.note(
        f"training trial {trial.number} on all {count(len(people), 'participant')} that are not test participants, "
        f"for {count(epochs, 'epoch')}"
    )
    value = score_of(trial) or 0.0
    what = (
        f"{note(training)}\n\nTrained for {count(epochs, 'epoch')}, the number that was chosen in the folds, on all "
        f"{count(len(people), 'participant')} that are not test participants. In the search, trial {trial.number} had "
        f"{context.settings.objective} {value:.3f}. These are the weights that are tested and promoted."
    )
    tags = {**context.tags(), "trial": str(trial.number)}
    with context.store.start_run(parent.experiment, name, KIND, parent.id, what, **tags) as run:
        run.params({**training_params(context, training), **participant_params(train=people), "best_epoch": epochs})
        run.dataset(context.dataset, {"train": len(context.windows(people))})
        network = log_network(context, training, epochs, {context.settings.objective: value}, run, parent, progress)
        check_mine(is_mine)
    with signals_deferred():
        study.set_user_attr(NETWORKS, {**study.user_attrs.get(NETWORKS, {}), str(trial.number): run.id})
    return network, run.id
