"""The search space: an Optuna trial's proposals as training settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.trial import BaseTrial

from sslwear.encoders.base import Encoder
from sslwear.search.experiment import Experiment
from sslwear.search.report import BLOCK_KEY
from sslwear.settings import SearchSettings, Settings, TrainingSettings
from sslwear.tuning.base import parse as parse_tuning


def suggest(trial: BaseTrial, experiment: Experiment) -> TrainingSettings:
    """Ask a trial for everything that the study searches over; the rest is as ``training`` has it."""
    search, chosen = experiment.settings.search, dict[str, Any]()
    if search.tuned == "any":
        blocks = experiment.encoder.block_names()
        tuned = [block for block in blocks if trial.suggest_categorical(_block_key(block), [True, False])]
        chosen["tuned"] = _mask(tuned, experiment.encoder)
    elif search.tuned is not None:
        chosen["tuned"] = trial.suggest_categorical("tuned", tuned_choices(search, experiment.encoder))
    if search.learning_rate is not None:
        bounds = search.learning_rate
        chosen["learning_rate"] = trial.suggest_float("learning_rate", bounds.low, bounds.high, log=True)
    for key in ("batch_size", "augment", "pretext"):
        choices = getattr(search, key)
        if choices is not None:
            chosen[key] = trial.suggest_categorical(key, choices)
    return experiment.settings.training.model_copy(update=chosen)


def reference(settings: Settings, encoder: type[Encoder]) -> dict[str, Any] | None:
    """The file's own ``training`` settings as a trial's parameters, or None when they are not in the search space.

    A study tries them first, so that every study contains the point that it is compared with.
    """
    search, training = settings.search, settings.training
    tuned, params = _canonical(training.tuned, encoder), dict[str, Any]()
    if search.tuned == "any":
        frozen = parse_tuning(tuned, encoder).frozen
        learning = [block for block in encoder.block_names() if block not in frozen]
        if _mask(learning, encoder) != tuned:  # another strategy than a mask
            return None
        params.update({_block_key(block): block in learning for block in encoder.block_names()})
    elif search.tuned is not None:
        params["tuned"] = tuned
        if tuned not in tuned_choices(search, encoder):
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


def tuned_choices(search: SearchSettings, encoder: type[Encoder]) -> list[str]:
    """The tuning strategies that a study may choose from, in their canonical text."""
    assert isinstance(search.tuned, tuple)
    return [_canonical(text, encoder) for text in search.tuned]


def _canonical(text: str, encoder: type[Encoder]) -> str:
    return parse_tuning(text, encoder).spec


def _mask(tuned: Sequence[str], encoder: type[Encoder]) -> str:
    return _canonical("+".join(tuned) or "head", encoder)


def _block_key(block: str) -> str:
    return f"{BLOCK_KEY}{block}"
