"""One part of an evaluation: a method fitted in a fold with a seed, and its scores on the fold's test participants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
from mlflow.entities import Run as MlflowRun
from numpy.typing import NDArray

from sslwear.encoders.base import Encoder, Network
from sslwear.errors import StudyError
from sslwear.evaluation.sequences import learn, smoothed
from sslwear.search.baselines import find_baseline
from sslwear.search.experiment import Experiment
from sslwear.search.listener import Listener
from sslwear.search.protocol import Part, Plan
from sslwear.search.results import PARTICIPANTS
from sslwear.search.testing import Tested, score, scored
from sslwear.search.trial import first_encoder, note, train
from sslwear.settings import TrainingSettings
from sslwear.tracking import MAX_PARAM, Run, people
from sslwear.training import leading, refit

TRANSDUCTIVE = "transductive: pre-training saw test participants' windows, without their labels"
PROBABILITIES = "test_probabilities.csv"
SUPERVISED = "supervised elsewhere: the encoder has learnt the labels of {}"


def part_name(part: Part) -> str:
    """A part in a few words: ``first block, fold 2, seed 42``."""
    return f"{part.method.name}, fold {part.fold}, seed {part.seed}"


def run_part(plan: Plan, part: Part, parent: Run, run: Run, done: Mapping[str, MlflowRun], listener: Listener) -> float:
    """Fit a method in a fold with a seed, score it once on the fold's test participants, and log all of it.

    Args:
        plan: the evaluation.
        part: which of its parts.
        parent: the run to nest pre-training under.
        run: an open run; the caller ends it.
        done: finished parts by key.
        listener: hears of the epochs.

    Returns:
        The mean of the objective over the test participants, NaN where it is undefined for all of them.
    """
    experiment, objective = plan.of(part), plan.experiment.settings.objective
    members = _members(part, done)
    if part.method.given.choose:
        what, value = _choose(members, objective, run, plan)
    else:
        run.params(people(**vars(part.split)))
        if part.method.given.ensemble:
            what, tested = _ensemble(members, experiment, run)
        elif part.method.given.baseline is not None:
            what, tested = _baseline(plan, part, experiment, run)
        else:
            what, tested = _trained(plan, part, experiment, parent, run, listener)
            run.text(_probabilities(experiment, tested), PROBABILITIES)
        means = {name: float(tested.table[name].mean()) for name in tested.scores}
        run.metrics({f"test_{name}": score for name, score in tested.scores.items()})
        run.metrics({f"test_{name}_mean": mean for name, mean in means.items()})
        run.text(tested.table.to_csv(index=False), PARTICIPANTS)
        value = means[objective]
    marks = [TRANSDUCTIVE] if plan.settings.transductive else []
    marks += [SUPERVISED.format(", ".join(part.method.supervised))] if part.method.supervised else []
    mark = f" ({'; '.join(marks)})" if marks else ""
    run.describe(
        f"{what}\n\nFold {part.fold}, seed {part.seed}: mean {objective} of the test participants {value:.3f}{mark}."
    )
    return value


def _members(part: Part, done: Mapping[str, MlflowRun]) -> dict[str, MlflowRun]:
    """Finished parts of the methods that one is made of, by method.

    Raises:
        StudyError: when one of them did not finish.
    """
    if lacking := [name for name, key in part.members.items() if key not in done]:
        raise StudyError(f"{lacking[0]}, one of the methods that it is made of, did not finish")
    return {name: done[key] for name, key in part.members.items()}


def _choose(members: Mapping[str, MlflowRun], objective: str, run: Run, plan: Plan) -> tuple[str, float]:
    """Answer with the member that did best on the fold's validation participants; the first of several as good."""
    values = {name: member.data.metrics.get(objective, math.nan) for name, member in members.items()}
    best = max(values, key=lambda name: -math.inf if math.isnan(values[name]) else values[name])
    chosen = members[best]
    run.copy(chosen.info.run_id)
    run.tags(chosen=best, chosen_run=chosen.info.run_id)
    run.text(plan.experiment.store.read_text(chosen, PARTICIPANTS), PARTICIPANTS)
    said = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    what = f"Chose `{best}` by {objective} on the validation participants: {said}. Nothing was trained again."
    return what, float(chosen.data.metrics[f"test_{objective}_mean"])


def _ensemble(members: Mapping[str, MlflowRun], experiment: Experiment, run: Run) -> tuple[str, Tested]:
    """Answer with the class of the highest mean probability over the members."""
    run.params({"ensemble": "; ".join(members)[:MAX_PARAM]})
    run.tags(members=" ".join(member.info.run_id for member in members.values()))
    told = [pd.read_csv(StringIO(experiment.store.read_text(member, PROBABILITIES))) for member in members.values()]
    columns = [f"p_{name}" for name in experiment.dataset.class_names]
    mean = np.mean([table[columns].to_numpy() for table in told], axis=0)
    what = f"Averages the probabilities of {', '.join(f'`{name}`' for name in members)}. Nothing was trained again."
    return what, scored(experiment, mean.argmax(axis=1))


def _probabilities(experiment: Experiment, tested: Tested) -> str:
    """A table of the test participants' windows: participant, row in the data set, probability of each class."""
    windows = experiment.windows(experiment.split.test)
    columns = [f"p_{name}" for name in experiment.dataset.class_names]
    table = pd.DataFrame(tested.probabilities, columns=columns).round(6)
    table.insert(0, "participant", windows.pid)
    table.insert(1, "row", windows.rows)
    return table.to_csv(index=False)


def _trained(
    plan: Plan, part: Part, experiment: Experiment, parent: Run, run: Run, listener: Listener
) -> tuple[str, Tested]:
    training, what = part.method.training, note(part.method.training)
    result = train(experiment, training, run, parent.id, listener, keep=plan.settings.keep_checkpoints)
    network = result.network
    if plan.settings.refit:
        encoder = first_encoder(experiment, training, run, parent.id, listener)
        network = _refitted(experiment, training, encoder, result.best_epoch)
        what += f" Fitted anew for {result.best_epoch} epochs with the validation participants among those learnt from."
    depth = leading(experiment.tuning(training).frozen, network)
    names = experiment.dataset.class_names
    tested = score(experiment, network, experiment.encoder.window_samples, names, depth)
    if plan.settings.smoothing == "hmm":
        tested = _smoothed(experiment, result.validation.predicted, tested)
    return what, tested


def _refitted(experiment: Experiment, training: TrainingSettings, encoder: Encoder, epochs: int) -> Network:
    """A network that has learnt from training and validation participants, for so many epochs."""
    split = experiment.split
    both = replace(experiment, split=replace(split, train=(*split.train, *split.validation), validation=()))
    return refit(
        encoder,
        both.classification(training),
        both.windows(both.split.train, training),
        both.tuning(training),
        both.fit_settings(training),
        epochs,
        both.cache,
    )


def _baseline(plan: Plan, part: Part, experiment: Experiment, run: Run) -> tuple[str, Tested]:
    name, split, classes = str(part.method.given.baseline), part.split, len(experiment.dataset.class_names)
    predict = find_baseline(name)
    train, validation, test = (experiment.windows(side) for side in (split.train, split.validation, split.test))
    run.dataset(experiment.dataset, {"train": len(train), "validation": len(validation)})
    run.params({"baseline": name, "seed": part.seed})
    tested = scored(experiment, predict(train, validation, test, classes, part.seed))
    if plan.settings.smoothing == "hmm":  # another fit, because this one may have learnt from validation participants
        tested = _smoothed(experiment, predict(train, train, validation, classes, part.seed), tested)
    return f"The baseline `{name}`.", tested


def _smoothed(experiment: Experiment, on_validation: NDArray[np.int64], tested: Tested) -> Tested:
    """Predictions of test participants, smoothed with what training and validation participants teach of them;
    probabilities stay those of the windows by themselves.
    """
    sides = (experiment.split.train, experiment.split.validation, experiment.split.test)
    train, validation, test = (experiment.windows(side).rows for side in sides)
    chain = learn(experiment.dataset, train, validation, on_validation)
    found = scored(experiment, smoothed(experiment.dataset, test, tested.predicted, chain))
    return replace(found, probabilities=tested.probabilities)
