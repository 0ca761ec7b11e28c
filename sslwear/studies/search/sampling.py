"""Sampling: a study's search space for Optuna, its sampler and its pruner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from sslwear.config import ANY, NO_PRETEXT, Range, SearchSettings, Settings, section_and_key
from sslwear.config.kinds import SPELLINGS
from sslwear.encoders.base import Encoder
from sslwear.studies.database.failures import interrupted_trials
from sslwear.studies.database.trials import effective, settings_of
from sslwear.studies.setup.context import StudyContext
from sslwear.tracking import Store
from sslwear.tuning.base import parse as parse_tuning

_effective: WeakKeyDictionary[optuna.Study, dict[int, dict[str, Any]]] = WeakKeyDictionary()
"""Effective settings of ended trials by number, so that a study of many trials does not work them out for each."""
BLOCK_KEY = "tune_"
"""Prefix of the Optuna parameters, one a block, of a study that searches all sets of blocks."""


def tuning_parameter(study: optuna.Study) -> str:
    """Name of the Optuna parameter that chooses the tuning strategy; studies of version 0.1 have ``tuned``."""
    trials = study.get_trials(deepcopy=False)
    return "tuned" if any("tuned" in trial.params for trial in trials) else "tuning"


def distributions(
    search: SearchSettings, encoder: type[Encoder], tuning_parameter: str = "tuning"
) -> dict[str, BaseDistribution]:
    """Optuna's distributions of the search space, by name of the parameter."""
    found: dict[str, BaseDistribution] = {}
    for name, values in search.space.items():
        if values == ANY:
            found |= {_block_key(block): CategoricalDistribution([True, False]) for block in encoder.block_names()}
        elif isinstance(values, Range):
            found[name] = _of_range(values)
        elif name == "tuning":
            found[tuning_parameter] = CategoricalDistribution([_canonical(text, encoder) for text in values])
        else:
            found[name] = CategoricalDistribution(values)
    return found


def _of_range(values: Range[Any]) -> BaseDistribution:
    if isinstance(values.low, int):
        return IntDistribution(values.low, values.high, values.log, values.step or 1)
    return FloatDistribution(values.low, values.high, values.log, values.step)


def chosen(settings: Settings, encoder: type[Encoder], params: Mapping[str, Any]) -> Settings:
    """A study's settings with those of a trial in `training` and `pretraining`.

    Without a pretext task, `pretraining` stays as it is, because it has no effect.

    Args:
        settings: the study's.
        encoder: class of the network.
        params: parameters of the trial, see `distributions`.
    """
    changes: dict[str, dict[str, Any]] = {"training": {}, "pretraining": {}}
    learning = [block for block in encoder.block_names() if params.get(_block_key(block))]
    for name, value in params.items():
        if name.startswith(BLOCK_KEY):
            changes["training"]["tuning"] = _mask(learning, encoder)
        else:
            section, key = section_and_key(SPELLINGS.get(name, name))
            changes[section][key] = value
    training = settings.training.model_copy(update=changes["training"])
    if training.pretext == NO_PRETEXT:
        return settings.model_copy(update={"training": training})
    pretraining = settings.pretraining.model_copy(update=changes["pretraining"])
    return settings.model_copy(update={"training": training, "pretraining": pretraining})


def reference_params(
    settings: Settings, encoder: type[Encoder], tuning_parameter: str = "tuning"
) -> dict[str, Any] | None:
    """The file's own settings as a trial's parameters; None if they are outside of the search space.

    A study tries them first, so that its trials can be compared with them.
    """
    params: dict[str, Any] = {}
    for name, values in settings.search.space.items():
        section, key = section_and_key(name)
        own = getattr(getattr(settings, section), key)
        if name == "tuning":
            own = _canonical(own, encoder)
        if values == ANY:
            frozen = parse_tuning(own, encoder).frozen
            learning = [block for block in encoder.block_names() if block not in frozen]
            if _mask(learning, encoder) != own:  # not a freeze mask
                return None
            params |= {_block_key(block): block in learning for block in encoder.block_names()}
            continue
        if isinstance(values, Range):
            if (found := values.find(own)) is None:
                return None
            params[name] = found
            continue
        if own not in ([_canonical(text, encoder) for text in values] if name == "tuning" else values):
            return None
        params[tuning_parameter if name == "tuning" else name] = own
    return params


def _canonical(text: str, encoder: type[Encoder]) -> str:
    return parse_tuning(text, encoder).spec


def _mask(learning: Sequence[str], encoder: type[Encoder]) -> str:
    return _canonical("+".join(learning) or "head", encoder)


def _block_key(block: str) -> str:
    return f"{BLOCK_KEY}{block}"


class _Halving(pruners.SuccessiveHalvingPruner):
    """Optuna's, for which an interrupted trial does not compete with its own repetition."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return super().prune(cast("optuna.Study", _WithoutInterrupted(study)), trial)


class _WithoutInterrupted:
    """A study without its interrupted trials, with what Optuna's pruner reads; the pruner has no option for this."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self.direction, self._storage = study.direction, study._storage

    def get_trials(self, deepcopy: bool = True) -> list[FrozenTrial]:
        left_out = interrupted_trials(self._study)
        return [
            trial
            for trial in self._study.get_trials(deepcopy=deepcopy)
            if trial.state != TrialState.FAIL or trial.number not in left_out
        ]


def pruner(settings: Settings) -> pruners.BasePruner:
    """The pruner that the settings name; it receives epochs, counted from 1."""
    chosen = settings.pruner
    first = chosen.warmup_epochs + 1
    match chosen.name:
        case "median":
            return pruners.MedianPruner(chosen.startup_trials, first)  # it counts warm-up steps from 0
        case "halving":
            return _Halving(first, chosen.reduction_factor)
        case "hyperband":
            return pruners.HyperbandPruner(first, settings.most_epochs, chosen.reduction_factor)
        case "folds" | "none":
            return pruners.NopPruner()


def sampler(study: Settings, seed: int) -> samplers.BaseSampler:
    """Optuna's sampler of a name, with the arguments said that its versions have different defaults for.

    A new sampler works out the search space from all trials each time. This takes 0.5 s in all for a study of 300
    trials with TPE.

    Args:
        study: settings of the study.
        seed: seed of the next trial's proposals.
    """
    settings = study.sampler
    match settings.name:
        case "tpe":
            return samplers.TPESampler(
                seed=seed,
                n_startup_trials=settings.startup_trials,
                multivariate=True,
                group=False,
                constant_liar=True,
            )
        case "gp":
            return samplers.GPSampler(
                seed=seed,
                n_startup_trials=max(1, settings.startup_trials),
                deterministic_objective=False,
            )
        case "random" | "grid":  # all combinations of a grid are waiting trials, see `first_trials`
            return samplers.RandomSampler(seed)


def next_trial(
    context: StudyContext, study: optuna.Study, first: Sequence[Mapping[str, Any]], finished: int
) -> optuna.Trial:
    """The next trial: a waiting one, one of the first trials, or a proposal of the sampler.

    Proposals depend only on the seed and on the trials that count.

    Args:
        context: context of the study.
        study: receives the trial.
        first: parameters of the first trials, see `sslwear.studies.search.first_trials.first_trials`.
        finished: number of its trials that count.
    """
    settings = context.settings
    seed = int(np.random.SeedSequence([settings.seed, finished]).generate_state(1)[0])
    study.sampler = sampler(settings, seed)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not waiting and finished < len(first):
        study.enqueue_trial(dict(first[finished]))
    return study.ask(distributions(settings.search, context.encoder, tuning_parameter(study)))


def earlier_duplicate(study: optuna.Study, settings: Settings, store: Store) -> FrozenTrial | None:
    """The first finished or pruned trial with the same settings whose run still exists; None if there is none.

    Settings that have no effect, such as those of a pre-training without a pretext task, may differ.
    """
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    known, wanted = _effective.setdefault(study, {}), effective(settings)
    for trial in ended:  # which no longer change
        if trial.number not in known:
            known[trial.number] = effective(settings_of(trial, settings))
    alike = (trial for trial in ended if known[trial.number] == wanted)
    return next((trial for trial in alike if store.find_run(trial.user_attrs["run_id"]) is not None), None)
