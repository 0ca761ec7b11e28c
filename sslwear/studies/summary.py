"""Summary of a study on its MLflow run: the study's page, pictures and a description."""

from __future__ import annotations

import optuna

from sslwear.reports.study_page import study_page
from sslwear.reports.study_pictures import study_pictures
from sslwear.reports.study_report import StudyReport
from sslwear.reports.study_text import study_markdown
from sslwear.studies.verdict import report
from sslwear.tracking import Run

PAGE = "study.html"


def log(study: optuna.Study, parent: Run) -> None:
    """Log the page, pictures and a description on the study's run."""
    found = report(study)
    for name, picture in study_pictures(found).items():
        parent.figure(picture, f"{name}.png")
    parent.page(study_page(found), PAGE)
    if found.selected is not None and found.selected.estimate is not None:
        one = found.selected.estimate
        limits = {"low": one.low, "high": one.high} if one.known else {}
        parent.metrics({f"estimate_{name}": value for name, value in {"mean": one.mean, **limits}.items()})
    parent.describe(description(found))


def description(found: StudyReport) -> str:
    """A few lines of Markdown for the study's run."""
    notes = "".join(f"\n\n{note}" for note in found.notes)
    return (
        f"{study_markdown(found)}{notes}\n\nArtifacts: `{PAGE}` has the whole verdict, and the pictures are beside it."
    )
