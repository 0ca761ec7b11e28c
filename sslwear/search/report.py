"""A study's results: its trials as rows, its pictures, its description."""

from __future__ import annotations

from dataclasses import dataclass

import optuna
import yaml
from optuna import visualization
from optuna.trial import FrozenTrial, TrialState

from sslwear.errors import StudyError
from sslwear.evaluation.figures import TrialPoint, study_overview
from sslwear.settings import Settings, TrainingSettings, parse
from sslwear.tracking import Run

ENOUGH_FOR_IMPORTANCES = 4
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
    )


def log(study: optuna.Study, objective: str, parent: Run) -> None:
    """Log the study's pictures and description on its run."""
    points = [
        TrialPoint(row.number, row.value, row.settings.tuned, row.settings.pretext, row.outcome == "pruned")
        for row in rows(study)
        if row.settings is not None and row.outcome in ("finished", "pruned")
    ]
    parent.figure(study_overview(points, objective, f"Study {study.study_name}"), "study.png")
    parent.text(interactive(study, objective), "study.html")
    parent.describe(description(study, objective))


def interactive(study: optuna.Study, objective: str) -> str:
    """Optuna's charts on one page of HTML that needs no network."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    charts = [visualization.plot_optimization_history(study, target_name=objective)]
    charts.append(visualization.plot_intermediate_values(study))
    charts.append(visualization.plot_parallel_coordinate(study, target_name=objective))
    charts.append(visualization.plot_slice(study, target_name=objective))
    if len(complete) >= ENOUGH_FOR_IMPORTANCES and len({trial.value for trial in complete}) > 1:
        charts.append(visualization.plot_param_importances(study, target_name=objective))
    bodies = [chart.to_html(full_html=False, include_plotlyjs=i == 0) for i, chart in enumerate(charts)]
    return f"<!doctype html><meta charset='utf-8'><title>{study.study_name}</title>{''.join(bodies)}"


def description(study: optuna.Study, objective: str) -> str:
    """A few lines of Markdown for the study's run."""
    best = winner(study)
    assert best is not None
    chosen = ", ".join(f"{key} {value}" for key, value in best.user_attrs["settings"].items())
    lines = [f"Best: trial {best.number}, validation {objective} {best.value:.3f} ({chosen})."]
    for number, scores in study.user_attrs.get("tested", {}).items():
        values = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        lines.append(f"Test participants, trial {number}: {values}.")
    lines.append("`study.png` shows all trials; `study.html` has interactive charts.")
    return "\n\n".join(lines)
