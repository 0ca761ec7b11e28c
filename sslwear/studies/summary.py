"""A study's summary on its MLflow run: pictures, interactive charts and a description."""

from __future__ import annotations

import html

import optuna
from optuna import visualization as plots
from optuna.distributions import CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState
from plotly.graph_objects import Figure

from sslwear.reports.study_figures import study_charts, study_overview
from sslwear.studies.final_test import past_test_evaluations, training_of
from sslwear.studies.sampling import BLOCK_KEY
from sslwear.studies.trials import importances, points, winner
from sslwear.tracking import Run


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
    for title, key in (("Score by tuning strategy", "tuning"), ("Pretext tasks compared", "pretext")):
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
    masks = tuple(sorted({training_of(trial).tuning for trial in ended}))
    for trial in ended:
        params, distributions = dict(trial.params), dict(trial.distributions)
        if blocks := [name for name in params if name.startswith(BLOCK_KEY)]:
            for name in blocks:
                del params[name], distributions[name]
            params["tuning"] = training_of(trial).tuning
            distributions["tuning"] = CategoricalDistribution(masks)
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
    if seen := past_test_evaluations(study):
        lines.append(f"The test participants were looked at {len(seen)} time{'s' * (len(seen) != 1)}.")
    lines.append(
        "Among its artifacts, `study.png` shows all trials, `charts/` has a picture of each chart, and `study.html` "
        "the interactive ones."
    )
    return "\n\n".join(lines)
