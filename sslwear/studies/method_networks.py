"""Networks of an evaluation's method, trained on all participants, for promotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslwear.data.splits import Split
from sslwear.encoders import weights
from sslwear.encoders.base import Network
from sslwear.studies.evaluated import Evaluated
from sslwear.studies.job_keys import job_key
from sslwear.studies.keys import key_of
from sslwear.studies.methods import Method
from sslwear.studies.progress import ProgressCallback
from sslwear.studies.trial import log_network, note, training_params
from sslwear.tracking import RUN_URI, Run, participant_params
from sslwear.tracking.checkpoints import load_weights
from sslwear.utils.words import count

KIND = "method_network"
"""Kind of the runs with these networks."""


@dataclass(frozen=True)
class NetworkPlan:
    """A network to train.

    Attributes:
        method: the method.
        seed: seed of the training.
        epochs: number of epochs.
        key: key of everything that its weights depend on.
    """

    method: Method
    seed: int
    epochs: int
    key: str


def all_participants(evaluated: Evaluated) -> Split:
    """The split in which all participants of an evaluation are training participants."""
    dataset = evaluated.plan.context.dataset
    return Split(tuple(np.unique(dataset.pid[dataset.worn]).tolist()), (), ())


def network_plans(evaluated: Evaluated, name: str) -> list[NetworkPlan]:
    """The networks of a method: one for each seed, and for each member of an ensemble.

    Raises:
        StudyError: when the method cannot be kept, see `Evaluated.networks`.
    """
    plan, split = evaluated.plan, all_participants(evaluated)
    found = []
    for method in evaluated.networks(name):
        epochs = evaluated.epochs(method)
        for seed in plan.settings.seeds:
            key = key_of({"job": job_key(plan.context, plan.settings, method, split, seed, {}), "epochs": epochs})
            found.append(NetworkPlan(method, seed, epochs, key))
    return found


def train_network(
    evaluated: Evaluated, wanted: NetworkPlan, parent: Run, progress: ProgressCallback
) -> tuple[Network, str]:
    """Train a network on all participants, or find the one that an earlier promotion trained.

    Args:
        evaluated: the evaluation.
        wanted: the network.
        parent: parent run of its run.
        progress: receives notes and a pre-training.

    Returns:
        The network, and the id of its run.
    """
    plan, method, training = evaluated.plan, wanted.method, wanted.method.training
    split = all_participants(evaluated)
    context = plan.context.variant(split, wanted.seed, method.weights, method.initial, transductive=False).for_run()
    store, people = context.store, count(len(split.train), "participant")
    for run in store.find_runs(parent.experiment, kind=KIND, outcome="finished", network_key=wanted.key):
        origin, encoder = f"{RUN_URI}{run.info.run_id}", context.encoder()
        network = Network(encoder, context.classification(training).head(encoder.features))
        weights.load_network(network, load_weights(store, origin), origin)
        return network, str(run.info.run_id)
    name = f"{method.name}, seed {wanted.seed}, all participants"
    epochs = count(wanted.epochs, "epoch")
    progress.note(f"training {method.name!r} with seed {wanted.seed} on all {people}, for {epochs}")
    what = (
        f"{note(training)}\n\nTrained for {epochs}, the median of the best epochs of the evaluation's folds and seeds, "
        f"on all {people} of the evaluation."
    )
    tags = {**context.tags(), "method": method.name, "seed": str(wanted.seed), "network_key": wanted.key}
    tags["supervised"] = ", ".join(method.supervised)
    with store.start_run(parent.experiment, name, KIND, parent.id, what, **tags) as new:
        people_params = participant_params(train=split.train)
        new.params({**training_params(context, training), **people_params, "best_epoch": wanted.epochs})
        new.dataset(context.dataset, {"train": len(context.windows(split.train))})
        network = log_network(context, training, wanted.epochs, {}, new, parent, progress)
    return network, new.id
