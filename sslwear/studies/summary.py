"""Summary of a study on its MLflow run: figures, interactive charts and a description."""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable, Mapping, Sequence

import optuna
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from optuna import visualization as plots
from optuna.distributions import CategoricalDistribution
from optuna.importance import BaseImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as pictures
from plotly.graph_objects import Figure

from sslwear.evaluation.participants import validation_title
from sslwear.reports.study_figures import TrialPoint, groups_chart, study_overview
from sslwear.studies.budget import end_note
from sslwear.studies.sampling import BLOCK_KEY
from sslwear.studies.tested import main_scores, past_evaluations, scored_trials
from sslwear.studies.trials import importances, logged_settings, points, training_of, winner
from sslwear.tracking import Run
from sslwear.utils.words import shown

MANY_CURVES = 200
"""Number of trials, the last ones, whose epochs are shown; a browser is slow with more curves."""


class _Known(BaseImportanceEvaluator):
    """Gives importances to Optuna's charts that were computed before, because computing them takes seconds."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = dict(shares)

    def evaluate(
        self,
        study: optuna.Study,
        params: list[str] | None = None,
        *,
        target: Callable[[FrozenTrial], float] | None = None,
    ) -> dict[str, float]:
        """The importances."""
        return self._shares


def log(study: optuna.Study, objective: str, parent: Run) -> None:
    """Log figures, interactive charts and a description on the study's run."""
    shown, shares = points(study), importances(study)
    parent.figure(study_overview(shown, objective, f"Study {study.study_name}"), "study.png")
    for name, chart in {**group_charts(shown, objective), **optuna_charts(study, objective, shares)}.items():
        parent.figure(chart, f"charts/{name}.png")
    parent.page(interactive(study, objective, shares), "study.html")
    parent.describe(description(study, objective))


def group_charts(shown: Sequence[TrialPoint], objective: str) -> dict[str, MatplotlibFigure]:
    """Charts that Optuna does not draw, by file name: scores by tuning strategy and by pretext task, if they vary."""
    known = [point for point in shown if point.value is not None]
    names = {"score_by_mask": "tuning", "pretext_tasks": "pretext"}
    return {
        name: groups_chart(known, by, objective)
        for name, by in names.items()
        if len({getattr(point, by) for point in known}) > 1
    }


def optuna_charts(study: optuna.Study, objective: str, shares: Mapping[str, float]) -> dict[str, MatplotlibFigure]:
    """Optuna's charts as matplotlib figures, by file name; charts that need more trials are left out.

    Args:
        study: the study.
        objective: name of its score.
        shares: importances, see `sslwear.studies.trials.importances`; empty where there are none.
    """
    finished = [point for point in points(study) if point.value is not None and not point.pruned]
    charts: dict[str, Callable[[], Axes]] = {}
    if finished:
        charts["optimisation_history"] = lambda: pictures.plot_optimization_history(study, target_name=objective)
    if shares:
        charts["parameter_importances"] = lambda: pictures.plot_param_importances(
            study, _Known(shares), target_name=objective
        )
    if _varied(finished) > 1:
        charts["parallel_coordinates"] = lambda: pictures.plot_parallel_coordinate(
            _with_tuning(study), target_name=objective
        )
    return {name: _drawn(chart) for name, chart in charts.items()}


def _drawn(chart: Callable[[], Axes]) -> MatplotlibFigure:
    """Figure of a chart of Optuna, which draws with pyplot and changes its style; both are undone."""
    with warnings.catch_warnings(), plt.rc_context():
        warnings.simplefilter("ignore")  # of Optuna about itself, and of matplotlib about an axis with one value
        figure = chart().figure
    assert isinstance(figure, MatplotlibFigure)
    plt.close(figure)
    figure.set_layout_engine("tight")
    return figure


def _varied(finished: Sequence[TrialPoint]) -> int:
    """Number of searched settings with several values in finished trials."""
    names = finished[0].searched if finished else {}
    return sum(len({point.searched[name] for point in finished}) > 1 for name in names)


def interactive(study: optuna.Study, objective: str, shares: Mapping[str, float]) -> str:
    """Optuna's charts on one page of HTML that needs no network, see `optuna_charts`."""
    converted, shown = _with_tuning(study), [point for point in points(study) if point.value is not None]
    finished = [point for point in shown if not point.pruned]
    charts: dict[str, Figure] = {"Optimisation history": plots.plot_optimization_history(study, target_name=objective)}
    if shares:
        charts["Parameter importances"] = plots.plot_param_importances(study, _Known(shares), target_name=objective)
    for title, key in (("Score by tuning strategy", "tuning"), ("Pretext tasks compared", "pretext")):
        if len({point.searched.get(key) for point in finished}) > 1:
            charts[title] = plots.plot_slice(converted, [key], target_name=objective)
    if len({tuple(point.searched.items()) for point in finished}) > 1:
        charts["Parallel coordinates"] = plots.plot_parallel_coordinate(converted, target_name=objective)
        charts["Every searched setting"] = plots.plot_slice(converted, target_name=objective)
    by_epoch = plots.plot_intermediate_values(study)
    by_epoch.update_layout(xaxis_title="epoch", yaxis_title=validation_title(objective))
    many = len(by_epoch.data) > MANY_CURVES
    by_epoch.data = by_epoch.data[-MANY_CURVES:]
    charts[f"The last {MANY_CURVES} trials by epoch" if many else "Every trial by epoch"] = by_epoch
    bodies: list[str] = []
    for title, chart in charts.items():
        chart.update_layout(title=title)
        bodies.append(chart.to_html(full_html=False, include_plotlyjs=not bodies))
    name = html.escape(study.study_name)
    return f"<!doctype html><meta charset='utf-8'><title>{name}</title><h1>Study {name}</h1>{''.join(bodies)}"


def _with_tuning(study: optuna.Study) -> optuna.Study:
    """A copy in memory with one parameter for the tuning strategy, also where each block is searched separately."""
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
    chosen = ", ".join(f"{key} {shown(value)}" for key, value in logged_settings(best).items())
    lines = [f"Best: trial {best.number}, {validation_title(objective)} {best.value:.3f} ({chosen})."]
    if (note := end_note(study)) is not None:
        lines.append(note)
    for number in scored_trials(study):
        scores, what = main_scores(study, number)
        values = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        lines.append(f"Test scores of trial {number}, {what}: {values}.")
    if seen := past_evaluations(study):
        lines.append(f"Test evaluations: {len(seen)}.")
    lines.append(
        "Artifacts: `study.png` shows all trials, `charts/` has single charts, and `study.html` has interactive charts."
    )
    return "\n\n".join(lines)
