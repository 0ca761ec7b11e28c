"""Two studies, or two runs, side by side: what differs, and whether their scores can be compared at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import optuna
from mlflow.entities import Run as MlflowRun
from optuna.trial import FrozenTrial

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.trials import kept_settings, rows, winner
from sslwear.tracking import NOTE, SYSTEM_METRICS, Store, participant_names
from sslwear.training.metrics import HEADLINE_SCORES
from sslwear.utils.masking import masked

RUN_ID_LETTERS = 32
SHOWN_MATCHES, SHOWN_NAMES = 5, 10
NEVER_ALIKE = (NOTE, "mlflow.log-model.history", "mlflow.runName", "mlflow.runType", "mlflow.parentRunId")
"""Tags that tell nothing where two runs differ in them."""


@dataclass(frozen=True)
class Side:
    """One of two studies that are compared."""

    study: optuna.Study
    store: Store

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study.study_name)

    @cached_property
    def settings(self) -> Settings:
        """What it was started with."""
        return kept_settings(self.study)

    @cached_property
    def best(self) -> FrozenTrial | None:
        """Its best finished trial."""
        return winner(self.study)

    @cached_property
    def params(self) -> Mapping[str, str]:
        """Parameters of its own run; none where that is gone."""
        run = self.store.find_run(self.study.user_attrs["run_id"]) if "run_id" in self.study.user_attrs else None
        return run.data.params if run is not None else {}

    @cached_property
    def scores(self) -> list[tuple[str, str, dict[str, float]]]:
        """What was tuned, the pretext task and the validation scores of the best epoch, of each finished trial."""
        metrics = {run.info.run_id: run.data.metrics for run in self._runs()}
        found = []
        for trial, row in zip(_ended(self.study), rows(self.study), strict=True):
            if row.outcome == "finished" and row.settings is not None:
                logged = metrics.get(trial.user_attrs.get("run_id", ""), {})
                known = {name: logged[name] for name in HEADLINE_SCORES if name in logged}
                known.setdefault(self.settings.objective, row.value or 0.0)
                found.append((row.settings.tuning, row.settings.pretext, known))
        return found

    def _runs(self) -> list[MlflowRun]:
        parent = self.study.user_attrs.get("run_id")
        run = self.store.find_run(parent) if parent else None
        if run is None:
            return []
        return self.store.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{parent}'")

    @property
    def tests(self) -> dict[str, dict[str, float]]:
        """Scores on the test participants by number of the trial, of the winners that were looked at."""
        return dict(self.study.user_attrs.get("tested", {}))


@dataclass(frozen=True)
class Row:
    """A name, and what two sides have there."""

    name: str
    left: Any
    right: Any


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state != optuna.trial.TrialState.WAITING]


def different_settings(left: Side, right: Side) -> list[Row]:
    """Settings that two studies do not share, by dotted key; their names are left out."""
    return differences(_flat(left.settings.model_dump()), _flat(right.settings.model_dump()), leave_out=("study",))


def incomparable(left: Side, right: Side) -> list[str]:
    """Why validation scores of two studies cannot be compared; nothing where they can."""
    reasons = []
    a, b = left.study.user_attrs, right.study.user_attrs
    if a.get("fingerprint") != b.get("fingerprint"):
        reasons.append(
            f"they are of different data: fingerprint {_short(a.get('fingerprint'))} and {_short(b.get('fingerprint'))}"
        )
    for which in ("validation", "test"):
        people = [_participants(side, which) for side in (left, right)]
        if people[0] != people[1]:
            only = [[one for one in people[i] if one not in people[1 - i]] for i in (0, 1)]
            said = [f"{side.name} has {_some(names)}" for side, names in zip((left, right), only, strict=True) if names]
            reasons.append(f"their {which} participants are not the same: only {' and only '.join(said)}")
    if left.settings.include_nonwear != right.settings.include_nonwear:
        reasons.append("one counts windows in which the device was not worn, and the other does not")
    if left.settings.objective != right.settings.objective:
        reasons.append(
            f"their trials were chosen by different scores: {left.settings.objective} and {right.settings.objective}"
        )
    return reasons


def _participants(side: Side, which: str) -> list[str]:
    """Who is validated or tested on; where the study's run is gone, the rule that says who."""
    shares = side.settings.split
    if (text := side.params.get(f"{which}_participants")) is not None and (
        names := participant_names(text)
    ) is not None:
        return names
    rule = f"those of split seeds {shares.test_seed} and {shares.validation_seed}"
    return [f"{rule}, shares {shares.test:g} and {shares.validation:g} (its run is gone)"]


def _some(names: Sequence[str]) -> str:
    return " ".join(names[:SHOWN_NAMES]) + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")


def groups(left: Side, right: Side, score: str, by: str) -> list[Row]:
    """Best, median and count of a score on each side, by what was tuned or by pretext task.

    Args:
        left: one study.
        right: the other.
        score: ``kappa`` or ``f1``.
        by: ``tuning`` or ``pretext``.
    """
    index = ("tuning", "pretext").index(by)
    sides = []
    for side in (left, right):
        found: dict[str, list[float]] = {}
        for trial in side.scores:
            if score in trial[2]:
                found.setdefault(str(trial[index]), []).append(trial[2][score])
        sides.append({name: (max(values), median(values), len(values)) for name, values in found.items()})
    names = {**sides[0], **sides[1]}
    order = sorted(names, key=lambda name: max(side[name][0] for side in sides if name in side), reverse=True)
    return [Row(name, sides[0].get(name), sides[1].get(name)) for name in order]


def find_run(prefix: str, store: Store) -> MlflowRun:
    """The run whose id begins with a text.

    Raises:
        StudyError: when there is none, or more than one.
    """
    if not re.fullmatch(rf"[0-9a-f]{{1,{RUN_ID_LETTERS}}}", prefix):
        raise StudyError(
            f"{prefix!r} is no run's id nor its beginning: it has {RUN_ID_LETTERS} of the letters 0-9 and a-f"
        )
    if len(prefix) == RUN_ID_LETTERS:
        found = [run for run in [store.find_run(prefix)] if run is not None]
    else:
        experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
        found = store.search_runs(experiments, f"attributes.run_id LIKE '{prefix}%'")
    if not found:
        raise StudyError(f"there is no run {prefix!r} in {masked(store.tracking_uri)}; copy an id from the UI")
    if len(found) > 1:
        some = ", ".join(f"{run.info.run_id[: len(prefix) + 4]} ({run.info.run_name})" for run in found[:SHOWN_MATCHES])
        more = ", ..." if len(found) > SHOWN_MATCHES else ""
        raise StudyError(f"{len(found)} runs begin with {prefix!r}: {some}{more}; give more letters")
    return found[0]


def run_differences(left: MlflowRun, right: MlflowRun) -> dict[str, list[Row]]:
    """Parameters, last metrics, data sets and tags in which two runs differ, system metrics left out."""
    metrics = [
        {name: value for name, value in run.data.metrics.items() if not name.startswith(SYSTEM_METRICS)}
        for run in (left, right)
    ]
    return {
        "parameters": differences(left.data.params, right.data.params),
        "metrics": differences(*metrics),
        "data": differences(_datasets(left), _datasets(right)),
        "tags": differences(left.data.tags, right.data.tags, leave_out=NEVER_ALIKE),
    }


def differences(left: Mapping[str, Any], right: Mapping[str, Any], leave_out: Iterable[str] = ()) -> list[Row]:
    """What two mappings do not share, by key in alphabetical order; None stands where one has nothing."""
    keys = sorted({*left, *right} - set(leave_out))
    return [Row(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]


def _datasets(run: MlflowRun) -> dict[str, str]:
    inputs = run.inputs.dataset_inputs if run.inputs is not None else []
    return {"data set": ", ".join(f"{one.dataset.name} {one.dataset.digest}" for one in inputs)} if inputs else {}


def _flat(settings: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{key}.{name}" if key else name
        found |= _flat(value, path) if isinstance(value, dict) else {path: value}
    return found


def _short(fingerprint: str | None) -> str:
    return fingerprint[:12] if fingerprint else "unknown"
