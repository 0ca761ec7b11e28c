"""Summary of a study on its MLflow run: the study's page, pictures and a description."""

from __future__ import annotations

import optuna

from sslwear.reports.study_page import study_page
from sslwear.reports.study_pictures import study_pictures
from sslwear.reports.study_report import StudyReport
from sslwear.reports.study_text import study_markdown
from sslwear.studies.database.kept_verdict import keep
from sslwear.studies.results.mlflow_page import LIKE_BEST
from sslwear.studies.results.verdict import report
from sslwear.tracking import Run

PAGE = "study.html"
MARKS = "marks"
"""Attribute of a study with the marks of its trials, see `_mark`."""


def log(study: optuna.Study, parent: Run) -> None:
    """Log the page, pictures and a description on the study's run."""
    found = report(study)
    keep(study, [one.number for one in found.trials if one.candidate], found.importances)
    for name, picture in study_pictures(found).items():
        parent.figure(picture, f"{name}.png")
    parent.page(study_page(found), PAGE)
    _mark(study, found, parent)
    if found.selected is not None and found.selected.estimate is not None:
        one = found.selected.estimate
        limits = {"low": one.low, "high": one.high} if one.known else {}
        parent.metrics({f"estimate_{name}": value for name, value in {"mean": one.mean, **limits}.items()})
    parent.describe(description(found))


def _mark(study: optuna.Study, found: StudyReport, parent: Run) -> None:
    """Mark on the runs of trials which of them cannot be told from the best."""
    before: dict[str, str] = study.user_attrs.get(MARKS, {})
    marks = {str(one.number): "yes" if one.candidate else "no" for one in found.finished}
    if found.winner is not None:
        marks[str(found.winner)] = "selected"
    for one in found.finished:
        mark = marks[str(one.number)]
        if before.get(str(one.number)) != mark and one.run_id is not None and parent.store.find_run(one.run_id):
            Run(parent.store, one.run_id, parent.experiment).tags(**{LIKE_BEST: mark})
    study.set_user_attr(MARKS, marks)


def description(found: StudyReport) -> str:
    """A few lines of Markdown for the study's run."""
    notes = "".join(f"\n\n{note}" for note in found.notes)
    return (
        f"{study_markdown(found)}{notes}\n\nArtifacts: `{PAGE}` has the whole verdict, and the pictures are beside it."
    )
