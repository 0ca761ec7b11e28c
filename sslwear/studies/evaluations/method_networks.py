"""Networks of an evaluation's method, trained on all participants, for promotion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sslwear.config import NO_PRETEXT, TrainingSettings
from sslwear.data.dataset import Dataset
from sslwear.data.splits import Split
from sslwear.encoders import weights
from sslwear.encoders.arrays import Arrays
from sslwear.encoders.average import averaged
from sslwear.encoders.base import Network
from sslwear.encoders.card import CARD, Card, fitted_kind, member
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.studies.evaluations.evaluated import Evaluated
from sslwear.studies.evaluations.job_keys import job_key
from sslwear.studies.evaluations.methods import Method
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import key_of
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.all_participants import log_network
from sslwear.studies.trial.training_run import note, training_params
from sslwear.tracking import RUN_URI, Run, participant_params
from sslwear.tracking.checkpoints import load_weights, model_folder
from sslwear.utils.words import count

KIND = "method_network"
"""Kind of the runs with these networks."""
METHOD = "method"
"""Kind of the run of a promoted method, the parent of those of its networks."""
NO_TUNING = "none"
"""Tuning strategy in the card of a classifier without an encoder."""


@dataclass(frozen=True)
class NetworkPlan:
    """A network to train.

    Attributes:
        method: the method.
        seed: seed of the training.
        epochs: number of epochs; 0 for a baseline, which is fitted.
        key: key of everything that its weights depend on.
    """

    method: Method
    seed: int
    epochs: int
    key: str


def all_participants(dataset: Dataset) -> Split:
    """The split in which all participants of an evaluation are training participants."""
    return Split(tuple(np.unique(dataset.pid[dataset.worn]).tolist()), (), ())


def network_plans(evaluated: Evaluated, name: str) -> list[NetworkPlan]:
    """The networks of a method: one for each seed, and for each member of an ensemble.

    Raises:
        StudyError: when the method cannot be kept, see `Evaluated.networks`.
    """
    plan, split = evaluated.plan, all_participants(evaluated.plan.context.dataset)
    found = []
    for method in evaluated.networks(name):
        epochs = 0 if method.given.baseline is not None else evaluated.epochs(method)
        for seed in plan.settings.seeds:
            key = key_of({"job": job_key(plan.context, plan.settings, method, split, seed, {}), "epochs": epochs})
            found.append(NetworkPlan(method, seed, epochs, key))
    return found


def train_network(
    evaluated: Evaluated, wanted: NetworkPlan, parent: Run, progress: ProgressCallback
) -> tuple[Network | Arrays, str]:
    """Train a network or fit a baseline on all participants, or find the one that an earlier promotion made.

    Args:
        evaluated: the evaluation.
        wanted: the network or baseline.
        parent: parent run of its run.
        progress: receives notes and a pre-training.

    Returns:
        The network or the fitted classifier, and the id of its run.
    """
    plan, method, training = evaluated.plan, wanted.method, wanted.method.training
    context = network_context(plan, method, wanted.seed)
    split = context.split
    for run in context.store.find_runs(parent.experiment, kind=KIND, outcome="finished", network_key=wanted.key):
        return _kept(context, f"{RUN_URI}{run.info.run_id}"), str(run.info.run_id)
    people, name = count(len(split.train), "participant"), f"{method.name}, seed {wanted.seed}, all participants"
    if method.given.baseline is not None:
        progress.note(f"fitting {method.name!r} with seed {wanted.seed} to all {people}")
        what = f"The baseline `{method.given.baseline}`, fitted to all {people} of the evaluation."
    else:
        epochs = count(wanted.epochs, "epoch")
        progress.note(f"training {method.name!r} with seed {wanted.seed} on all {people}, for {epochs}")
        what = (
            f"{note(training)}\n\nTrained for {epochs}, the median of the best epochs of the evaluation's folds and "
            f"seeds, on all {people} of the evaluation."
        )
    tags = {**context.tags(), "method": method.name, "seed": str(wanted.seed), "network_key": wanted.key}
    tags["supervised"] = ", ".join(method.supervised)
    with context.store.start_run(parent.experiment, name, KIND, parent.id, what, **tags) as new:
        if method.given.baseline is not None:
            return _fit_baseline(context, method.given.baseline, wanted.seed, new), new.id
        return log_on_everybody(context, training, wanted.epochs, new, parent, progress), new.id


def network_context(plan: CrossValidationPlan, method: Method, seed: int) -> StudyContext:
    """Context of a method's network for all participants."""
    split = all_participants(plan.context.dataset)
    return plan.context.variant(split, seed, method.weights, method.initial, transductive=False).for_run()


def log_on_everybody(
    context: StudyContext, training: TrainingSettings, epochs: int, run: Run, parent: Run, progress: ProgressCallback
) -> Network:
    """Train a network on all participants, and log it on a run; `parent` is the parent run of a pre-training."""
    _log_participants(context, run)
    run.params({**training_params(context, training), "best_epoch": epochs})
    return log_network(context, training, epochs, {}, run, parent, progress)


def _log_participants(context: StudyContext, run: Run) -> None:
    train = context.split.train
    run.params(participant_params(train=train))
    run.dataset(context.dataset, {"train": len(context.windows(train))})


def _kept(context: StudyContext, origin: str) -> Network | Arrays:
    """The network or fitted classifier of a finished run."""
    with model_folder(context.store, origin) as folder:
        card = Card.read(folder / CARD)
    made = member(card.head, card, context.encoder)
    weights.load_network(averaged([made]), load_weights(context.store, origin), origin)
    return made


def _fit_baseline(context: StudyContext, name: str, seed: int, run: Run) -> Arrays:
    """Fit a baseline to windows of the model's length, and log it."""
    _log_participants(context, run)
    run.params({"baseline": name, "seed": seed})
    windows, classes = context.windows(context.split.train), len(context.dataset.class_names)
    with context.unchanged_data():
        made = get_baseline(name)().fitted(windows, context.encoder.window_samples, classes, seed)
    assert made is not None  # `Evaluated.networks` refuses others
    card = replace(network_card(context, NO_TUNING, NO_PRETEXT, fitted_kind(made)), encoder=name, precision="float32")
    run.checkpoint(averaged([made]), card, {}, 0)
    return made
