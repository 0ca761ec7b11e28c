"""What standardising by participant gains, and what it costs where a recording has few activities.

Networks classify each test participant as they were trained, and with the statistics of their batch norms computed from
all windows of that participant, without labels (Li et al., Pattern Recognition 2018, 80:109). MiniRocket's features are
used as they are, and standardised within each participant, in training and test. Both assume that people do the same
activities in like shares, so that what differs is the person. The rows with few activities break this assumption: of
each test participant there are only windows of these, drawn at random.

    python benchmarks/participant_statistics.py [--data smartwatch ...] [--seeds 1] [--activities 2]
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from machine import describe, new_store
from numpy.typing import NDArray
from torch.nn.modules.batchnorm import _BatchNorm

import sslwear
from sslwear.config import load
from sslwear.data.dataset import Dataset
from sslwear.encoders.base import Network
from sslwear.evaluation.baselines.minirocket import minirocket_features
from sslwear.evaluation.intervals import difference, interval
from sslwear.evaluation.participants import per_participant
from sslwear.evaluation.ridge import ridge_probabilities
from sslwear.studies.evaluations.plan import CrossValidationPlan, Job
from sslwear.studies.trial.all_participants import fit_on_all

RECIPE = Path(__file__).parents[1] / "experiments" / "own_data.yaml"
METHODS = ("network", "network, by participant", "MiniRocket", "MiniRocket, by participant")
Rows = NDArray[np.int64]


def plan_of(data: str, seeds: int, folder: Path) -> CrossValidationPlan:
    """An evaluation of the network of `own_data.yaml` from random weights, in its folds."""
    recipe = load(RECIPE)
    evaluation = {"folds": 5, "seeds": list(range(1, seeds + 1)), "baselines": "none", "methods": {"network": {}}}
    training = recipe.training.model_dump(exclude_unset=True)
    content = {"study": "statistics", "data": data, "encoder": recipe.encoder, "training": training}
    return CrossValidationPlan.build(sslwear.Settings(**content, evaluation=evaluation), new_store(folder))


@torch.no_grad()
def network_classes(network: Network, samples: int, dataset: Dataset, rows: Rows, own: bool) -> Rows:
    """Classes (n,) that a network predicts; with `own`, batch norms have the statistics of each participant."""
    found = np.empty(len(rows), np.int64)
    for participant in np.unique(dataset.pid[rows]):
        mine = np.flatnonzero(dataset.pid[rows] == participant)
        x = dataset.gather(rows[mine], samples)
        model = copy.deepcopy(network).eval()
        if own:
            for norm in (one for one in model.modules() if isinstance(one, _BatchNorm)):
                norm.train()  # all windows are one batch, whose statistics are used
        found[mine] = model(x).argmax(dim=1).numpy()
    return found


def rocket_classes(job: Job, dataset: Dataset, rows: Rows, own: bool) -> Rows:
    """Classes (n,) that MiniRocket predicts; with `own`, features are standardised within each participant."""
    learnt = np.flatnonzero(dataset.worn & ~np.isin(dataset.pid, job.split.test))
    every = np.sort(np.concatenate([learnt, rows]))
    table = minirocket_features(dataset, learnt, rows, job.seed)(every)
    for participant in np.unique(dataset.pid[every]) if own else ():
        mine = dataset.pid[every] == participant
        table[mine] = (table[mine] - table[mine].mean(axis=0)) / (table[mine].std(axis=0) + 1e-3)
    given = dataset.labels[learnt], dataset.pid[learnt], rows, len(dataset.class_names)
    return ridge_probabilities(lambda wanted: table[np.searchsorted(every, wanted)], learnt, *given).argmax(axis=1)


def few_activities(dataset: Dataset, rows: Rows, activities: int, seed: int) -> Rows:
    """Rows of a few activities of each participant, drawn at random."""
    generator, kept = np.random.default_rng(seed), []
    for participant in np.unique(dataset.pid[rows]):
        mine = rows[dataset.pid[rows] == participant]
        present = np.unique(dataset.labels[mine])
        chosen = generator.choice(present, min(activities, len(present)), replace=False)
        kept.append(mine[np.isin(dataset.labels[mine], chosen)])
    return np.sort(np.concatenate(kept))


def scores(plan: CrossValidationPlan, activities: int) -> list[pd.DataFrame]:
    """Kappa by participant (rows) and method (columns), means over seeds: with all windows, and with few activities."""
    tables: list[list[pd.DataFrame]] = [[], []]
    for job in plan.jobs:
        context = plan.of(job)
        dataset, training = context.dataset, context.settings.training
        network = fit_on_all(context, training, context.new_encoder(), training.max_epochs, None)
        every = context.windows(job.split.test).rows
        for side, rows in zip(tables, (every, few_activities(dataset, every, activities, seed=0)), strict=True):
            found = [
                network_classes(network, context.encoder.window_samples, dataset, rows, own) for own in (False, True)
            ]
            found += [rocket_classes(job, dataset, rows, own) for own in (False, True)]
            for name, predicted in zip(METHODS, found, strict=True):
                table = per_participant(dataset.labels[rows], predicted, dataset.pid[rows], len(dataset.class_names))
                side.append(table.assign(method=name))
    return [pd.concat(side).pivot_table("kappa", "participant", "method")[list(METHODS)] for side in tables]


def main() -> None:
    """Print rows of a table in Markdown: each data set with all windows, and with few activities."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["smartwatch"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--activities", type=int, default=2)
    given = parser.parse_args()
    print(describe())
    print(f"| data | activities | {' | '.join(METHODS)} | network, difference | MiniRocket, difference |")
    print(f"|---|---|{'---|' * len(METHODS)}---|---|")
    for data in given.data:
        with tempfile.TemporaryDirectory() as folder:
            tables = scores(plan_of(data, given.seeds, Path(folder)), given.activities)
        for which, table in zip(("all", str(given.activities)), tables, strict=True):
            pairs = zip(METHODS[::2], METHODS[1::2], strict=True)
            gains = [difference(table[own], table[plain]).interval.text("+") for plain, own in pairs]
            print(
                f"| {data} | {which} | {' | '.join(str(interval(table[name])) for name in METHODS)} | "
                f"{' | '.join(gains)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
