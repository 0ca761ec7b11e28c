"""Comparison of two studies: whether their scores are comparable, different settings, and scores by group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import optuna
from mlflow.entities import Run as MlflowRun
from optuna.trial import FrozenTrial

from sslwear.config import Settings
from sslwear.errors import StudyError
from sslwear.studies.database.failures import counted
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.tested_trials import scores_of
from sslwear.studies.database.trials import SELECT, is_by_participant, kept_settings, rows, winner
from sslwear.studies.results.baseline import kept_baseline
from sslwear.tracking import Store, participant_names
from sslwear.training.metrics import HEADLINE_SCORES
from sslwear.utils.masking import masked
from sslwear.utils.words import shown

RUN_ID_LETTERS = 32
SHOWN_MATCHES, SHOWN_NAMES = 5, 10


@dataclass(frozen=True)
class Side:
    """One of two studies to compare."""

    study: optuna.Study
    store: Store

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study.study_name)

    @cached_property
    def settings(self) -> Settings:
        """Settings that the study was started with, and of those that a later command may change what it has now."""
        started, baseline = kept_settings(self.study), kept_baseline(self.study)
        now = {
            "trials": max(started.trials, len(counted(self.study))),
            "select": self.study.user_attrs.get(SELECT, started.select),
            "baseline": started.baseline if baseline is None else baseline["name"],
        }
        return started.model_copy(update=now)

    @cached_property
    def best(self) -> FrozenTrial | None:
        """The best finished trial; None if none finished."""
        return winner(self.study)

    @property
    def by_participant(self) -> bool:
        """Whether the objective is a mean over participants."""
        return is_by_participant(self.study)

    @cached_property
    def params(self) -> Mapping[str, str]:
        """Parameters of the study's run; empty if the run was deleted."""
        run = self.store.find_run(self.study.user_attrs["run_id"]) if "run_id" in self.study.user_attrs else None
        return run.data.params if run is not None else {}

    @cached_property
    def scores(self) -> list[tuple[str, str, dict[str, float]]]:
        """Tuning strategy, pretext task and validation scores of the best epoch of each finished trial."""
        metrics = {run.info.run_id: run.data.metrics for run in self._runs()}
        found = []
        for row in rows(self.study):
            if row.outcome == "finished" and row.settings is not None:
                logged = metrics.get(row.run_id or "", {})
                known = {name: logged[name] for name in HEADLINE_SCORES if name in logged}
                known[self.settings.objective] = row.value or 0.0
                found.append((row.settings.tuning, row.settings.pretext, known))
        return found

    def _runs(self) -> list[MlflowRun]:
        parent = self.study.user_attrs.get("run_id")
        run = self.store.find_run(parent) if parent else None
        if run is None:
            return []
        return self.store.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{parent}'")

    @property
    def tests(self) -> dict[str, float]:
        """Test scores of the best trial, see `sslwear.studies.database.tested_trials.scores_of`."""
        return scores_of(self.study, self.best.number) if self.best is not None else {}


@dataclass(frozen=True)
class Row:
    """A name with the values of two studies."""

    name: str
    left: Any
    right: Any


def different_settings(left: Side, right: Side) -> list[Row]:
    """Settings that differ between two studies, by dotted key in alphabetical order; None where a study has none."""
    sides = [_flat(side.settings.model_dump(exclude={"study"})) for side in (left, right)]
    keys = sorted({*sides[0], *sides[1]})
    found = [Row(key, sides[0].get(key), sides[1].get(key)) for key in keys]
    return [row for row in found if row.left != row.right]


def incomparable(left: Side, right: Side) -> list[str]:
    """Reasons why the validation scores of two studies are not comparable; empty if they are comparable."""
    reasons = []
    a, b = left.study.user_attrs, right.study.user_attrs
    if a.get("fingerprint") != b.get("fingerprint"):
        reasons.append(
            f"the data differ: fingerprint {_short(a.get('fingerprint'))} and {_short(b.get('fingerprint'))}"
        )
    for which in ("validation", "test"):
        people = [_participants(side, which) for side in (left, right)]
        if set(people[0]) != set(people[1]):
            only = [[one for one in people[i] if one not in people[1 - i]] for i in (0, 1)]
            said = [f"{side.name} has {_some(names)}" for side, names in zip((left, right), only, strict=True) if names]
            reasons.append(f"the {which} participants differ: only {' and only '.join(said)}")
    if left.settings.include_nonwear != right.settings.include_nonwear:
        reasons.append("one study includes windows in which the device was not worn, the other does not")
    if left.by_participant != right.by_participant:
        older = right if left.by_participant else left
        reasons.append(f"{older.name} has scores over all windows, the other one means over participants")
    folds = [(side.settings.split.folds, side.settings.split.repeats) for side in (left, right)]
    if folds[0] != folds[1]:
        texts = [f"{shown(number)} (split.repeats {repeats})" for number, repeats in folds]
        reasons.append(f"the folds differ: split.folds is {' and '.join(texts)}")
    seeds = [side.settings.split.validation_seed for side in (left, right)]
    if isinstance(left.settings.split.folds, int) and folds[0] == folds[1] and seeds[0] != seeds[1]:
        reasons.append(f"the folds are cut differently: split.validation_seed is {seeds[0]} and {seeds[1]}")
    if left.settings.objective != right.settings.objective:
        reasons.append(f"the objectives differ: {left.settings.objective} and {right.settings.objective}")
    return reasons


def _participants(side: Side, which: str) -> list[str]:
    """Validation or test participants; the settings that select them if the study's run lacks some."""
    shares, text = side.settings.split, side.params.get(f"{which}_participants")
    if text is not None and (names := participant_names(text)) is not None:
        return names
    rule = f"participants by split seeds {shares.test_seed} and {shares.validation_seed}"
    why = "its run was deleted" if text is None else "the list in its run is cut off"
    return [f"{rule}, shares {shares.test:g} and {shares.validation_share:g} ({why})"]


def _some(names: Sequence[str]) -> str:
    return " ".join(names[:SHOWN_NAMES]) + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")


def groups(left: Side, right: Side, score: str, by: str) -> list[Row]:
    """Best, median and count of a score in each study, by tuning strategy or pretext task.

    Args:
        left: one study.
        right: the other study.
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
    """The run whose id starts with the given letters.

    Raises:
        StudyError: when there is no such run, or more than one.
    """
    if not re.fullmatch(rf"[0-9a-f]{{1,{RUN_ID_LETTERS}}}", prefix):
        raise StudyError(
            f"{prefix!r} is not the id of a run. Give its {RUN_ID_LETTERS} letters 0-9 and a-f, the first ones, or a "
            "study with --trial N"
        )
    if len(prefix) == RUN_ID_LETTERS:
        found = [run for run in [store.find_run(prefix)] if run is not None]
    else:
        experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
        found = store.search_runs(experiments, f"attributes.run_id LIKE '{prefix}%'")
    if not found:
        raise StudyError(f"there is no run {prefix!r} in {masked(store.tracking_uri)}. Ids are in sslwear study show")
    if len(found) > 1:
        some = ", ".join(f"{run.info.run_id[: len(prefix) + 4]} ({run.info.run_name})" for run in found[:SHOWN_MATCHES])
        more = ", ..." if len(found) > SHOWN_MATCHES else ""
        raise StudyError(f"{len(found)} runs have ids that start with {prefix!r}: {some}{more}. Give more letters")
    return found[0]


def find_trial_run(name: str, number: int, store: Store) -> MlflowRun:
    """The run of a trial of a study.

    Raises:
        StudyError: when there is no such study or trial, or its run was deleted.
    """
    trials = {trial.number: trial for trial in find_study(name, store).get_trials(deepcopy=False)}
    if number not in trials:
        known = f"It has the trials 0 to {max(trials)}" if trials else "It has none yet"
        raise StudyError(f"there is no trial {number} in the study {name!r}. {known}")
    run_id = trials[number].user_attrs.get("run_id")
    run = store.find_run(run_id) if run_id is not None else None
    if run is None:
        raise StudyError(f"trial {number} of {name!r} has no run, because it never began or its run was deleted")
    return run


def _flat(settings: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{key}.{name}" if key else name
        found |= _flat(value, path) if isinstance(value, dict) else {path: value}
    return found


def _short(fingerprint: str | None) -> str:
    return fingerprint[:12] if fingerprint else "unknown"
