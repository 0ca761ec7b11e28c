"""Importances of the searched settings of a study, where trials are enough for them to mean something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState
from sklearn.ensemble import RandomForestRegressor

from sslwear.evaluation.intervals import LEVEL, Interval
from sslwear.studies.database.kept_verdict import kept_importances
from sslwear.studies.database.trials import score_of

FEWEST_TRIALS, FOR_EACH = 20, 10
"""Number of finished trials that are needed in all, and for each searched setting that varies."""
MOST = 200
"""Number of trials that are used; the time that importances take grows faster than their number."""
RESAMPLES = 20
TREES = 5
"""Number of trees for each resample, few to save time. More trees would make the intervals narrower: with 100 trials,
0.38 to 0.76 with 64 trees in place of 0.31 to 0.79."""


def importances(study: optuna.Study) -> dict[str, Interval]:
    """Share of each searched setting in the variance of the objective, the largest first.

    Shares are by fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014), with 95 % percentile intervals over resampled
    trials. They are the same in every call. The first objective is used if there are two, and of more than `MOST`
    trials those at even distances. Trials that took the result of an earlier one are left out.

    Shares always add up to 1, also where no setting matters. On random scores, a setting with eight values had a share
    of about 0.5 with 20 trials and with 160. So there are shares only if a random forest predicts the scores of trials
    that its trees have not seen better than their mean does (see `predictable`). Settings with many values have larger
    shares than they should, so small shares and small differences between shares mean little.

    Returns:
        Shares by name, for the settings that all trials have and that vary: ``sd`` is over resamples, ``participants``
        is the number of trials. Empty if there are fewer finished trials than `FEWEST_TRIALS`, or `FOR_EACH` for each
        setting, or if the scores are not predictable or nearly all equal.
    """
    if (kept := kept_importances(study)) is not None:
        return kept
    complete = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if "duplicate_of" not in trial.user_attrs  # a tree would have seen the same score in the first trial
    ]
    names = _varied(complete)
    if not names or len(complete) < max(FEWEST_TRIALS, FOR_EACH * len(names)):
        return {}
    places = np.linspace(0, len(complete) - 1, min(MOST, len(complete))).round().astype(int)
    used = [complete[place] for place in places]
    if not predictable(used, names):
        return {}
    shares = _shares(used, names, FanovaImportanceEvaluator(seed=0))
    if shares is None:
        return {}
    generator = np.random.default_rng(0)
    draws = generator.integers(len(used), size=(RESAMPLES, len(used)))
    evaluator = FanovaImportanceEvaluator(seed=0, n_trees=TREES)
    found = [_shares([used[place] for place in draw], names, evaluator) for draw in draws]
    resampled = pd.DataFrame([one for one in found if one is not None])
    if len(resampled) < RESAMPLES / 2:
        return {}
    return {name: _interval(share, resampled[name].to_numpy(), len(used)) for name, share in shares.items()}


def predictable(trials: Sequence[FrozenTrial], names: Sequence[str]) -> bool:
    """Whether some settings predict the scores of trials, by the out-of-bag predictions of a random forest.

    Scores are predictable if R^2 is above 0 (Breiman, Machine Learning 2001, 45:5). In a simulation with four settings,
    10 % of studies with 40 trials and random scores were, 2 % with 80 trials, and all with 40 trials where one of three
    pretext tasks had scores higher by two standard deviations.

    Args:
        trials: finished trials.
        names: settings that all of them have.
    """
    scores = np.array([score_of(trial) for trial in trials], float)
    if np.ptp(scores) == 0:
        return False
    forest = RandomForestRegressor(min_samples_leaf=3, oob_score=True, random_state=0).fit(
        _encoded(trials, names), scores
    )
    return bool(forest.oob_score_ > 0)


def _encoded(trials: Sequence[FrozenTrial], names: Sequence[str]) -> NDArray[np.float64]:
    """Settings of trials as numbers (trials, columns): a column for each number, and one for each other value."""
    columns = []
    for name in names:
        values: list[Any] = [trial.params[name] for trial in trials]
        if isinstance(trials[0].distributions[name], optuna.distributions.CategoricalDistribution):
            columns += [
                [repr(value) == known for value in values] for known in sorted({repr(value) for value in values})
            ]
        else:
            columns.append(values)  # trees see the order only, so a logarithm would change nothing
    return np.array(columns, float).T


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    """Names of the settings that all trials have, with more than one value."""
    names = [name for name in trials[0].params if all(name in trial.params for trial in trials)] if trials else []
    return [name for name in names if len({repr(trial.params[name]) for trial in trials}) > 1]


def _shares(
    trials: Sequence[FrozenTrial], names: Sequence[str], evaluator: FanovaImportanceEvaluator
) -> dict[str, float] | None:
    """Shares of the settings of some trials, the largest first; None where no tree has scores that differ."""
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(value=score_of(one), params=one.params, distributions=one.distributions)
            for one in trials
        ]
    )
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(names))
    except RuntimeError:  # zero total variance in all trees
        return None
    return {name: float(share) for name, share in found.items()}


def _interval(share: float, resampled: NDArray[np.float64], trials: int) -> Interval:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    sd = float(np.std(resampled, ddof=1))
    return Interval(share, sd, min(float(low), share), max(float(high), share), trials)
