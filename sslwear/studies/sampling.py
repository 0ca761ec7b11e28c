"""Sampling: a study's search space, its first trials, its sampler and its pruner."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from sslwear.config import NO_PRETEXT, SearchSettings, Settings, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.studies.context import StudyContext
from sslwear.studies.trials import training_of
from sslwear.tracking import Store
from sslwear.tuning.base import parse as parse_tuning

BLOCK_KEY = "tune_"
"""Prefix of the Optuna parameters, one a block, of a study that searches all sets of blocks."""


def tuning_parameter(study: optuna.Study) -> str:
    """Name of the Optuna parameter that chooses the tuning strategy; studies of version 0.1 have ``tuned``."""
    trials = study.get_trials(deepcopy=False)
    return "tuned" if any("tuned" in trial.params for trial in trials) else "tuning"


def suggest(trial: BaseTrial, context: StudyContext, tuning_parameter: str = "tuning") -> TrainingSettings:
    """Training settings of a trial: searched settings come from Optuna, the others from ``training``."""
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


def reference_params(
    settings: Settings, encoder: type[Encoder], tuning_parameter: str = "tuning"
) -> dict[str, Any] | None:
    """The file's ``training`` settings as a trial's parameters; None if they are outside of the search space.

    A study tries them first, so that its trials can be compared with them.
    """
    search, training = settings.search, settings.training
    tuning, params = _canonical(training.tuning, encoder), dict[str, Any]()
    if search.tuning == "any":
        frozen = parse_tuning(tuning, encoder).frozen
        learning = [block for block in encoder.block_names() if block not in frozen]
        if _mask(learning, encoder) != tuning:  # not a freeze mask
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
    """Tuning strategies that a study searches, in their canonical form."""
    assert isinstance(search.tuning, tuple)
    return [_canonical(text, encoder) for text in search.tuning]


def _canonical(text: str, encoder: type[Encoder]) -> str:
    return parse_tuning(text, encoder).spec


def _mask(learning: Sequence[str], encoder: type[Encoder]) -> str:
    return _canonical("+".join(learning) or "head", encoder)


def _block_key(block: str) -> str:
    return f"{BLOCK_KEY}{block}"


def pruner(settings: Settings) -> pruners.BasePruner:
    """The pruner that the settings name; it receives epochs, counted from 1."""
    chosen = settings.pruner
    first = chosen.warmup_epochs + 1
    match chosen.name:
        case "median":
            return pruners.MedianPruner(chosen.startup_trials, first)  # it counts warm-up steps from 0
        case "halving":
            return pruners.SuccessiveHalvingPruner(first, chosen.reduction_factor)
        case "hyperband":
            return pruners.HyperbandPruner(first, settings.training.max_epochs, chosen.reduction_factor)
        case "none":
            return pruners.NopPruner()


def sampler(seed: int, startup_trials: int) -> samplers.TPESampler:
    """Optuna's TPE sampler, with the arguments said that its versions have different defaults for.

    A new sampler works out the search space from all trials each time. This takes 0.5 s in all for a study of 300
    trials.

    Args:
        seed: seed of the next trial's proposals.
        startup_trials: number of trials that are proposed at random.
    """
    return samplers.TPESampler(
        seed=seed, n_startup_trials=startup_trials, multivariate=True, group=False, constant_liar=True
    )


def next_trial(context: StudyContext, study: optuna.Study, finished: int) -> optuna.Trial:
    """The next trial: a waiting one, one of the first trials, or a proposal of TPE.

    Proposals depend only on the seed and on the trials that count.

    Args:
        context: context of the study.
        study: receives the trial.
        finished: number of its trials that count.
    """
    settings = context.settings
    seed = int(np.random.SeedSequence([settings.seed, finished]).generate_state(1)[0])
    study.sampler = sampler(seed, settings.sampler.startup_trials)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not waiting and finished < max(1, settings.sampler.startup_trials):
        first = first_trials(context, tuning_parameter(study))
        if finished < len(first):
            study.enqueue_trial(first[finished])
    return study.ask()


def first_trials(context: StudyContext, tuning_parameter: str = "tuning") -> list[dict[str, Any]]:
    """Parameters of a study's first trials.

    The first trial has the file's ``training`` settings if they are in the search space. The others are drawn at random
    and sorted by cost, so that a pruner can compare expensive trials with cheap ones.
    """
    settings = context.settings
    own = reference_params(settings, context.encoder, tuning_parameter)
    source = optuna.create_study(sampler=samplers.RandomSampler(seed=settings.seed))
    drawn: list[tuple[tuple[int, bool], dict[str, Any]]] = []
    for _ in range(settings.sampler.startup_trials - (own is not None)):
        trial = source.ask()
        drawn.append((cost(context, suggest(trial, context, tuning_parameter)), trial.params))
    drawn.sort(key=lambda pair: pair[0])
    return [*([own] if own is not None else []), *(params for _, params in drawn)]


def cost(context: StudyContext, training: TrainingSettings) -> tuple[int, bool]:
    """Sort key for the cost of a training: number of blocks from the first tuned one on, and whether it pre-trains."""
    frozen = context.tuning(training).frozen
    blocks = context.encoder.block_names()
    known = len(list(itertools.takewhile(frozen.__contains__, blocks)))
    return len(blocks) - known, training.pretext != NO_PRETEXT


def earlier_duplicate(study: optuna.Study, training: TrainingSettings, store: Store) -> FrozenTrial | None:
    """The first finished or pruned trial with the same settings whose run still exists; None if there is none."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    alike = (trial for trial in ended if training_of(trial) == training)
    return next((trial for trial in alike if store.find_run(trial.user_attrs["run_id"]) is not None), None)
