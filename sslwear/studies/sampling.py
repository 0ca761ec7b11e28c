"""Sampling: a study's search space, its first trials, what its sampler proposes next, and its pruner."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from sslwear.config import NO_PRETEXT, SearchSettings, Settings, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.studies.context import StudyContext
from sslwear.studies.final_test import training_of
from sslwear.tracking import Store
from sslwear.tuning.base import parse as parse_tuning

BLOCK_KEY = "tune_"
"""Begins the names of what an Optuna trial is asked for where any set of blocks is searched, one name a block."""


def tuning_parameter(study: optuna.Study) -> str:
    """Name of the Optuna parameter that chooses the tuning strategy: an earlier one in studies that began with it."""
    trials = study.get_trials(deepcopy=False)
    return "tuned" if any("tuned" in trial.params for trial in trials) else "tuning"


def suggest(trial: BaseTrial, context: StudyContext, tuning_parameter: str = "tuning") -> TrainingSettings:
    """Ask a trial for everything that the study searches over; the rest is as ``training`` has it."""
    search, chosen = context.settings.search, dict[str, Any]()
    if search.tuning == "any":
        blocks = context.encoder.block_names()
        learning = [block for block in blocks if trial.suggest_categorical(_block_key(block), [True, False])]
        chosen["tuning"] = _mask(learning, context.encoder)
    elif search.tuning is not None:
        chosen["tuning"] = trial.suggest_categorical(tuning_parameter, tuning_choices(search, context.encoder))
    if search.learning_rate is not None:
        bounds = search.learning_rate
        chosen["learning_rate"] = trial.suggest_float("learning_rate", bounds.low, bounds.high, log=True)
    for key in ("batch_size", "augment", "pretext"):
        choices = getattr(search, key)
        if choices is not None:
            chosen[key] = trial.suggest_categorical(key, choices)
    return context.settings.training.model_copy(update=chosen)


def reference(settings: Settings, encoder: type[Encoder], tuning_parameter: str = "tuning") -> dict[str, Any] | None:
    """The file's own ``training`` settings as a trial's parameters, or None when they are not in the search space.

    A study tries them first, so that every study contains the point that it is compared with.
    """
    search, training = settings.search, settings.training
    tuning, params = _canonical(training.tuning, encoder), dict[str, Any]()
    if search.tuning == "any":
        frozen = parse_tuning(tuning, encoder).frozen
        learning = [block for block in encoder.block_names() if block not in frozen]
        if _mask(learning, encoder) != tuning:  # another strategy than a mask
            return None
        params.update({_block_key(block): block in learning for block in encoder.block_names()})
    elif search.tuning is not None:
        params[tuning_parameter] = tuning
        if tuning not in tuning_choices(search, encoder):
            return None
    if search.learning_rate is not None:
        params["learning_rate"] = training.learning_rate
        if not search.learning_rate.low <= training.learning_rate <= search.learning_rate.high:
            return None
    for key in ("batch_size", "augment", "pretext"):
        choices = getattr(search, key)
        if choices is not None:
            params[key] = getattr(training, key)
            if params[key] not in choices:
                return None
    return params


def tuning_choices(search: SearchSettings, encoder: type[Encoder]) -> list[str]:
    """The tuning strategies that a study may choose from, in their canonical text."""
    assert isinstance(search.tuning, tuple)
    return [_canonical(text, encoder) for text in search.tuning]


def _canonical(text: str, encoder: type[Encoder]) -> str:
    return parse_tuning(text, encoder).spec


def _mask(learning: Sequence[str], encoder: type[Encoder]) -> str:
    return _canonical("+".join(learning) or "head", encoder)


def _block_key(block: str) -> str:
    return f"{BLOCK_KEY}{block}"


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
        super().__init__(seed=seed, n_startup_trials=startup_trials, multivariate=True, constant_liar=True)
        self.common: IntersectionSearchSpace = (
            before.common if isinstance(before, _Sampler) else IntersectionSearchSpace()
        )

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the finished trials have in common and can be chosen."""
        common = self.common.calculate(study)
        return {name: choices for name, choices in common.items() if not choices.single()}


def ask(context: StudyContext, study: optuna.Study, finished: int) -> optuna.Trial:
    """The next trial: one that waits to be run again, one of the first, or what TPE proposes.

    Proposals depend on the seed and on the trials that count, and on nothing else.

    Args:
        context: the study's.
        study: where the trial is made.
        finished: how many of its trials count.
    """
    settings = context.settings
    seed = int(np.random.SeedSequence([settings.seed, finished]).generate_state(1)[0])
    study.sampler = _Sampler(seed, settings.sampler.startup_trials, study.sampler)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not waiting and finished < max(1, settings.sampler.startup_trials):
        first = first_trials(context, tuning_parameter(study))
        if finished < len(first):
            study.enqueue_trial(first[finished])
    return study.ask()


def first_trials(context: StudyContext, tuning_parameter: str = "tuning") -> list[dict[str, Any]]:
    """Parameters of the trials that a study starts with.

    The first is the file's own ``training`` section, where it lies in the search space; the others are drawn at random
    and come in the order of their cost, so that a pruner has something to compare the expensive ones with.
    """
    settings = context.settings
    own = reference(settings, context.encoder, tuning_parameter)
    source = optuna.create_study(sampler=samplers.RandomSampler(seed=settings.seed))
    drawn: list[tuple[tuple[int, bool], dict[str, Any]]] = []
    for _ in range(settings.sampler.startup_trials - (own is not None)):
        trial = source.ask()
        drawn.append((cost(context, suggest(trial, context, tuning_parameter)), trial.params))
    drawn.sort(key=lambda pair: pair[0])
    return [*([own] if own is not None else []), *(params for _, params in drawn)]


def cost(context: StudyContext, training: TrainingSettings) -> tuple[int, bool]:
    """What orders trainings by their cost: blocks from the first that learns to the head, and whether to pre-train."""
    frozen = context.tuning(training).frozen
    blocks = context.encoder.block_names()
    known = len(list(itertools.takewhile(frozen.__contains__, blocks)))
    return len(blocks) - known, training.pretext != NO_PRETEXT


def same(study: optuna.Study, training: TrainingSettings, store: Store) -> FrozenTrial | None:
    """The first trial that ran with the same settings, finished or was pruned, and whose run is there still."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    alike = (trial for trial in ended if training_of(trial) == training)
    return next((trial for trial in alike if store.find_run(trial.user_attrs["run_id"]) is not None), None)
