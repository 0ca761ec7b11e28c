"""Inputs of a report: what the stores know of an evaluated study beside its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import optuna
import pandas as pd
from mlflow.entities import Run as MlflowRun

from sslwear.errors import StudyError
from sslwear.evaluation.comparison import summaries
from sslwear.reports.report import Pretrained, ReportInputs
from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.database.trials import kept_settings, points, rows, winner
from sslwear.studies.results.verdict import JUDGED
from sslwear.tracking import Store, reading
from sslwear.training import EpochRecord

COMMAND, COMMIT = "mlflow.source.name", "mlflow.source.git.commit"


def gather_report_inputs(name: str, store: Store, results: pd.DataFrame, unfinished: str = "") -> ReportInputs:
    """Gather the inputs of a report: settings, commands, commits, the search, learning curves of the best network.

    Args:
        name: name of the study.
        store: store of its runs and trials.
        results: results of its evaluation.
        unfinished: what it lacks because jobs are not done, in a sentence.

    Raises:
        StudyError: when no settings were kept, or there are no results.
    """
    if results.empty:
        raise StudyError(f"no job of the evaluation of {name!r} has finished yet, so there is nothing to report")
    runs = _evaluation_runs(store, results)
    study = _study(name, store)
    settings = next(
        (found for one in _parents(store, runs) if (found := reading.settings(store, one)) is not None), None
    )
    if settings is None:
        if study is None:
            raise StudyError(f"the store has no settings of the evaluation of {name!r}. Run sslwear evaluate again")
        settings = kept_settings(study)
    parent = store.find_run(study.user_attrs["run_id"]) if study is not None and "run_id" in study.user_attrs else None
    told = [*([parent] if parent is not None else []), *runs]
    curves, best_epoch, whose = _curves(store, study, results, settings.objective)
    return ReportInputs(
        settings=settings,
        commands=list(dict.fromkeys(run.data.tags[COMMAND] for run in told if COMMAND in run.data.tags)),
        commits=list(dict.fromkeys(_commit(run) for run in told if COMMIT in run.data.tags)),
        outcomes=dict(Counter(row.outcome for row in rows(study))) if study is not None else {},
        points=points(study) if study is not None else (),
        kinds=_kinds(runs, results),
        curves=curves,
        best_epoch=best_epoch,
        curves_of=whose,
        pretrained=_pretrained(store, runs),
        judged=str(study.user_attrs.get(JUDGED, "")) if study is not None else "",
        unfinished=unfinished,
    )


def _evaluation_runs(store: Store, results: pd.DataFrame) -> list[MlflowRun]:
    """Runs of some results, oldest first, without deleted ones."""
    wanted = list(dict.fromkeys(results["run_id"]))
    first = next((run for one in wanted if (run := store.find_run(one)) is not None), None)
    if first is None:
        return []
    known = {run.info.run_id: run for run in store.search_runs([first.info.experiment_id])}
    return sorted((known[one] for one in wanted if one in known), key=lambda run: run.info.start_time)


def _parents(store: Store, runs: Sequence[MlflowRun]) -> list[str]:
    """The newest evaluation, whose runs may all be of earlier ones; then the parents of some runs, and these runs."""
    newest = store.find_runs(runs[0].info.experiment_id, kind="cross_validation")[:1] if runs else []
    nested = [run.data.tags["mlflow.parentRunId"] for run in reversed(runs) if "mlflow.parentRunId" in run.data.tags]
    own = [run.info.run_id for run in reversed(runs)]
    return list(dict.fromkeys([*(run.info.run_id for run in newest), *nested, *own]))


def _study(name: str, store: Store) -> optuna.Study | None:
    """The Optuna study; None if there is none or it has not begun."""
    storage = open_storage(store)
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage)
    return study if "settings" in study.user_attrs else None


def _commit(run: MlflowRun) -> str:
    changed = reading.tag(run, "git_dirty") == "true"
    return f"{run.data.tags[COMMIT]}{' with uncommitted changes' if changed else ''}"


def _kinds(runs: Sequence[MlflowRun], results: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Tuning strategy and pretext task by method, if all runs of the method agree.

    Methods that select among others are left out.
    """
    methods = results.set_index("run_id")["method"].to_dict()
    found: dict[str, set[tuple[str, str] | None]] = {}
    for run in runs:
        params, chosen = run.data.params, reading.tag(run, "chosen")
        strategy = params.get("tuning", params.get("tuned"))  # runs of version 0.1 have the second
        network = strategy is not None and "pretext" in params and chosen is None
        kind = (str(strategy), params["pretext"]) if network else None
        found.setdefault(str(methods[run.info.run_id]), set()).add(kind)
    return {method: kind for method, (kind, *more) in found.items() if kind is not None and not more}


def _pretrained(store: Store, runs: Sequence[MlflowRun]) -> list[Pretrained]:
    """Scores of the pre-trainings that runs start from, by pretext task in order of occurrence."""
    found: dict[str, list[MlflowRun]] = {}
    for origin in dict.fromkeys(reading.tag(run, "pretraining_run") for run in runs):
        if origin is not None and (run := store.find_run(origin)) is not None:
            found.setdefault(run.data.params["pretext"], []).append(run)
    return [
        Pretrained(
            pretext,
            tuple(run.info.run_id for run in alike),
            {name: fmean(run.data.metrics[name] for run in alike) for name in _own_scores(alike)},
        )
        for pretext, alike in found.items()
    ]


def _own_scores(runs: Sequence[MlflowRun]) -> list[str]:
    """Names of the scores that all of some pre-trainings have; the loss if there are none."""
    shared = set.intersection(*(set(run.data.metrics) for run in runs))
    names = sorted(name for name in shared if f"val_{name}" in shared)
    return [name for name in names if name != "loss"] or names


def _curves(
    store: Store, study: optuna.Study | None, results: pd.DataFrame, score: str
) -> tuple[list[EpochRecord], int, str]:
    """Learning curves of the search's best trial, or of a run of the best network; its best epoch; its name."""
    candidates = []
    if study is not None and (best := winner(study)) is not None:
        candidates.append((str(best.user_attrs.get("run_id", "")), f"trial {best.number}, which the search selected"))
    for method in sorted(summaries(results), key=lambda one: one.scores[score].mean, reverse=True):
        candidates += [(run_id, f"one run of `{method.label}`") for run_id in method.run_ids[:1]]
    for run_id, whose in candidates:
        run = store.find_run(run_id) if run_id else None
        if run is not None and (chosen := reading.tag(run, "chosen_run")) is not None:  # which has the epochs
            run_id, run = chosen, store.find_run(chosen)
        if run is not None and (curves := reading.epochs(store, run_id, score)):
            return curves, int(run.data.metrics.get("best_epoch", curves[-1].epoch)), whose
    return [], 0, ""
