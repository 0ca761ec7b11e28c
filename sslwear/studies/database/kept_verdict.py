"""Parts of a study's verdict that take seconds with many trials, kept when the study is finalised.

They depend on the finished trials only, which do not change, so they are used until there are more of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import TrialState

from sslwear.evaluation.intervals import Interval

KEPT, VERSION = "verdict", 2
"""Attribute of a study, and the version of how its content is computed. Raise it when that changes."""


def keep(study: optuna.Study, alike: Sequence[int], importances: Mapping[str, Interval]) -> None:
    """Let a study keep which trials cannot be told from the best, and the importances of its settings."""
    shares = {name: [one.mean, one.sd, one.low, one.high, one.participants] for name, one in importances.items()}
    study.set_user_attr(KEPT, {"of": _of(study), "alike": list(alike), "importances": shares})


def kept_alike(study: optuna.Study) -> list[int] | None:
    """Trials that cannot be told from the best; None if they are not kept of the study as it is."""
    kept = study.user_attrs.get(KEPT)
    return [int(number) for number in kept["alike"]] if kept and kept["of"] == _of(study) else None


def kept_importances(study: optuna.Study) -> dict[str, Interval] | None:
    """Importances of the settings; None if they are not kept of the study as it is."""
    kept = study.user_attrs.get(KEPT)
    if not kept or kept["of"] != _of(study):
        return None
    return {name: Interval(*one) for name, one in kept["importances"].items()}


def _of(study: optuna.Study) -> list[int]:
    """What the verdict depends on."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [VERSION, len(complete), complete[-1].number if complete else -1]
