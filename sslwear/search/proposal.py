"""What a study tries next: the first trials, cheapest first, then what the sampler proposes; and when it gives up."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

from sslwear.search.experiment import NO_PRETEXT, Experiment
from sslwear.search.space import reference, suggest
from sslwear.settings import Settings, TrainingSettings
from sslwear.tracking import Store


def pruner(settings: Settings) -> pruners.BasePruner:
    """The pruner that the settings name, fed with epochs that are counted from 1."""
    chosen = settings.pruner
    first = chosen.warmup_epochs + 1
    match chosen.name:
        case "median":
            return pruners.MedianPruner(chosen.startup_trials, first)  # its count of steps that are safe starts at 0
        case "halving":
            return pruners.SuccessiveHalvingPruner(first, chosen.reduction_factor)
        case "hyperband":
            return pruners.HyperbandPruner(first, settings.training.max_epochs, chosen.reduction_factor)
        case "none":
            return pruners.NopPruner()


class _Sampler(samplers.TPESampler):
    """TPE, seeded afresh for each trial, that remembers the search space which the trials so far have in common.

    Working that out anew from all of them would take longer with each trial.

    Args:
        seed: of this trial's proposals.
        startup_trials: that are proposed before it looks at results.
        before: the study's sampler until now.
    """

    def __init__(self, seed: int, startup_trials: int, before: samplers.BaseSampler) -> None:
        super().__init__(seed=seed, n_startup_trials=startup_trials)
        self.common: IntersectionSearchSpace = (
            before.common if isinstance(before, _Sampler) else IntersectionSearchSpace()
        )

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the finished trials have in common and can be chosen."""
        common = self.common.calculate(study)
        return {name: choices for name, choices in common.items() if not choices.single()}


def ask(experiment: Experiment, study: optuna.Study, finished: int) -> optuna.Trial:
    """The next trial: one that waits to be run again, one of the first, or what TPE proposes.

    Proposals depend on the seed and on the trials that count, and on nothing else.

    Args:
        experiment: the study's.
        study: where the trial is made.
        finished: how many of its trials count.
    """
    settings = experiment.settings
    seed = int(np.random.SeedSequence([settings.seed, finished]).generate_state(1)[0])
    study.sampler = _Sampler(seed, settings.sampler.startup_trials, study.sampler)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not waiting and finished < max(1, settings.sampler.startup_trials):
        first = first_trials(experiment)
        if finished < len(first):
            study.enqueue_trial(first[finished])
    return study.ask()


def first_trials(experiment: Experiment) -> list[dict[str, Any]]:
    """Parameters of the trials that a study starts with.

    The first is the file's own ``training`` section, where it lies in the search space; the others are drawn at random
    and come in the order of their cost, so that a pruner has something to compare the expensive ones with.
    """
    settings = experiment.settings
    own = reference(settings, experiment.encoder)
    source = optuna.create_study(sampler=samplers.RandomSampler(seed=settings.seed))
    drawn: list[tuple[tuple[int, bool], dict[str, Any]]] = []
    for _ in range(settings.sampler.startup_trials - (own is not None)):
        trial = source.ask()
        drawn.append((cost(experiment, suggest(trial, experiment)), trial.params))
    drawn.sort(key=lambda pair: pair[0])
    return [*([own] if own is not None else []), *(params for _, params in drawn)]


def cost(experiment: Experiment, training: TrainingSettings) -> tuple[int, bool]:
    """What orders trainings by their cost: blocks from the first that learns to the head, and whether to pre-train."""
    frozen = experiment.tuning(training).frozen
    blocks = experiment.encoder.block_names()
    known = len(list(itertools.takewhile(frozen.__contains__, blocks)))
    return len(blocks) - known, training.pretext != NO_PRETEXT


def same(study: optuna.Study, training: TrainingSettings, store: Store) -> FrozenTrial | None:
    """The first trial that ran with the same settings, finished or was pruned, and whose run is there still."""
    settings = training.model_dump()
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    alike = (trial for trial in ended if trial.user_attrs.get("settings") == settings)
    return next((trial for trial in alike if store.run(trial.user_attrs["run_id"]) is not None), None)
