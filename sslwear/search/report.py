"""A study's results: its trials as rows, its pictures, its description."""

from __future__ import annotations

import html
from dataclasses import dataclass

import optuna
import yaml
from optuna import visualization as plots
from optuna.distributions import CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState
from plotly.graph_objects import Figure

from sslwear.errors import StudyError
from sslwear.evaluation.study_figures import TrialPoint, study_charts, study_overview
from sslwear.search.testing import looks
from sslwear.settings import Settings, TrainingSettings, parse
from sslwear.tracking import Run

ENOUGH_FOR_IMPORTANCES = 4
BLOCK_KEY = "tune_"
"""Begins the names of what an Optuna trial is asked for where any set of blocks is searched, one name a block."""
OUTCOMES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


@dataclass(frozen=True)
class TrialRow:
    """One trial as a table shows it; `settings` is None when it ended before it had any."""

    number: int
    outcome: str
    value: float | None
    settings: TrainingSettings | None
    epochs: int
    seconds: float | None
    error: str | None
    host: str | None


def kept_settings(study: optuna.Study) -> Settings:
    """The settings that a study was started with.

    Raises:
        StudyError: when it has none, because something else made it.
    """
    if "settings" not in study.user_attrs:
        raise StudyError(f"the study {study.study_name!r} was not started by sslwear; give another name")
    return parse(yaml.safe_load(study.user_attrs["settings"]), f"the settings kept with study {study.study_name}")


def winner(study: optuna.Study) -> FrozenTrial | None:
    """The best finished trial, or None where none finished."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number)) if complete else None


def rows(study: optuna.Study) -> list[TrialRow]:
    """The trials of a study in their order, those that only wait left out."""
    interrupted = set(study.user_attrs.get("interrupted", []))
    return [
        _row(trial, trial.number in interrupted)
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.WAITING
    ]


def _row(trial: FrozenTrial, interrupted: bool) -> TrialRow:
    settings = trial.user_attrs.get("settings")
    reported = trial.intermediate_values
    value = trial.value if trial.state == TrialState.COMPLETE else reported[max(reported)] if reported else None
    return TrialRow(
        number=trial.number,
        outcome="interrupted" if interrupted else OUTCOMES[trial.state],
        value=value,
        settings=TrainingSettings(**settings) if settings else None,
        epochs=len(reported),
        seconds=trial.duration.total_seconds() if trial.duration else None,
        error=trial.user_attrs.get("error"),
        host=trial.user_attrs.get("host"),
    )


def points(study: optuna.Study) -> list[TrialPoint]:
    """The trials that finished or were pruned, as charts show them."""
    search = kept_settings(study).search
    searched = [name for name in type(search).model_fields if getattr(search, name) is not None]
    return [
        TrialPoint(
            number=row.number,
            value=row.value,
            tuned=row.settings.tuned,
            pretext=row.settings.pretext,
            pruned=row.outcome == "pruned",
            searched={name: _coordinate(getattr(row.settings, name)) for name in searched},
        )
        for row in rows(study)
        if row.settings is not None and row.outcome in ("finished", "pruned")
    ]


def _coordinate(value: str | float | bool) -> str | float:
    return ("yes" if value else "no") if isinstance(value, bool) else value


def importances(study: optuna.Study) -> dict[str, float]:
    """How much of the differences between finished trials each searched setting accounts for, the most first.

    They add up to 1, and there are none where the trials are too few or all alike, so that nothing can be said.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < ENOUGH_FOR_IMPORTANCES or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(seed=0)  # the same study, the same figures
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def log(study: optuna.Study, objective: str, parent: Run) -> None:
    """Log the study's pictures and description on its run."""
    shown, shares = points(study), importances(study)
    parent.figure(study_overview(shown, objective, f"Study {study.study_name}"), "study.png")
    charts = study_charts(shown, shares, objective)
    for name, chart in charts.items():
        parent.figure(chart, f"charts/{name}.png")
    parent.page(interactive(study, objective, bool(shares)), "study.html")
    parent.describe(description(study, objective))


def interactive(study: optuna.Study, objective: str, with_importances: bool) -> str:
    """Optuna's charts on one page of HTML that needs no network; those that there is no ground for are left out."""
    read, shown = _as_read(study), [point for point in points(study) if point.value is not None]
    finished = [point for point in shown if not point.pruned]
    charts: dict[str, Figure] = {"Optimisation history": plots.plot_optimization_history(study, target_name=objective)}
    if with_importances:
        evaluator = FanovaImportanceEvaluator(seed=0)
        charts["Parameter importances"] = plots.plot_param_importances(study, evaluator, target_name=objective)
    for title, key in (("Score by what was tuned", "tuned"), ("Pretext tasks compared", "pretext")):
        if len({point.searched.get(key) for point in finished}) > 1:
            charts[title] = plots.plot_slice(read, [key], target_name=objective)
    if len({tuple(point.searched.items()) for point in finished}) > 1:
        charts["Parallel coordinates"] = plots.plot_parallel_coordinate(read, target_name=objective)
        charts["Every searched setting"] = plots.plot_slice(read, target_name=objective)
    by_epoch = plots.plot_intermediate_values(study)
    by_epoch.update_layout(xaxis_title="epoch", yaxis_title=f"validation {objective}")
    charts["Every trial by epoch"] = by_epoch
    bodies: list[str] = []
    for title, chart in charts.items():
        chart.update_layout(title=title)
        bodies.append(chart.to_html(full_html=False, include_plotlyjs=not bodies))
    name = html.escape(study.study_name)
    return f"<!doctype html><meta charset='utf-8'><title>{name}</title><h1>Study {name}</h1>{''.join(bodies)}"


def _as_read(study: optuna.Study) -> optuna.Study:
    """A copy in memory in which what was tuned is one choice, also where each block is searched by itself."""
    copied = optuna.create_study(direction=study.direction)
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    masks = tuple(sorted({trial.user_attrs["settings"]["tuned"] for trial in ended}))
    for trial in ended:
        params, distributions = dict(trial.params), dict(trial.distributions)
        if blocks := [name for name in params if name.startswith(BLOCK_KEY)]:
            for name in blocks:
                del params[name], distributions[name]
            params["tuned"] = trial.user_attrs["settings"]["tuned"]
            distributions["tuned"] = CategoricalDistribution(masks)
        copied.add_trial(
            optuna.trial.create_trial(
                state=trial.state,
                value=trial.value,
                params=params,
                distributions=distributions,
                intermediate_values=trial.intermediate_values,
            )
        )
    return copied


def description(study: optuna.Study, objective: str) -> str:
    """A few lines of Markdown for the study's run."""
    best = winner(study)
    assert best is not None
    chosen = ", ".join(f"{key} {value}" for key, value in best.user_attrs["settings"].items())
    lines = [f"Best: trial {best.number}, validation {objective} {best.value:.3f} ({chosen})."]
    for number, scores in study.user_attrs.get("tested", {}).items():
        values = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        lines.append(f"Test participants, trial {number}: {values}.")
    if seen := looks(study):
        lines.append(f"The test participants were looked at {len(seen)} time{'s' * (len(seen) != 1)}.")
    lines.append(
        "Among its artifacts, `study.png` shows all trials, `charts/` has a picture of each chart, and `study.html` "
        "the interactive ones."
    )
    return "\n\n".join(lines)
