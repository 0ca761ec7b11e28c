"""The evaluations of a store: what each compares, how many of its jobs are done, and its best method."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO

import pandas as pd
from mlflow.entities import Run as MlflowRun

from sslwear.errors import StudyError
from sslwear.evaluation.comparison import protocol_title
from sslwear.studies.evaluations.results import PLAN, SUMMARY, evaluation_run, finished_jobs
from sslwear.tracking import Store, reading
from sslwear.utils.csv_cells import original_cell


@dataclass(frozen=True)
class Evaluation:
    """The newest evaluation of a study file.

    Attributes:
        name: name of the study.
        data: name of the data set.
        encoder: the encoder.
        objective: score by which methods are ranked.
        protocol: how participants are held out, as text.
        methods: number of methods; None if the plan of the evaluation is missing.
        done: number of finished jobs; None if the plan is missing.
        total: number of all jobs.
        best: the method with the highest mean; None until all jobs have finished.
        score: its mean over the test participants.
    """

    name: str
    data: str
    encoder: str
    objective: str
    protocol: str
    methods: int | None
    done: int | None
    total: int
    best: str | None
    score: float | None


def all_evaluations(store: Store) -> list[Evaluation]:
    """The newest evaluation of each study of a store, by name."""
    newest: dict[str, MlflowRun] = {}
    for run in store.find_runs(None, kind="cross_validation"):  # newest first
        newest.setdefault(run.info.experiment_id, run)
    return sorted((_read(run, store) for run in newest.values()), key=lambda one: one.name)


def find_evaluation(name: str, store: Store) -> Evaluation | None:
    """The newest evaluation of a study; None if it was not evaluated."""
    run = evaluation_run(name, store)
    return _read(run, store) if run is not None else None


def _read(run: MlflowRun, store: Store) -> Evaluation:
    objective = reading.tag(run, "objective") or "kappa"
    methods, done, total = _jobs(run, store)
    best, score = _best(run, objective, store) if done == total else (None, None)
    return Evaluation(
        name=reading.tag(run, "study") or str(run.info.run_name),
        data=reading.tag(run, "dataset") or "-",
        encoder=reading.tag(run, "encoder") or run.data.params.get("encoder", "-"),
        objective=objective,
        protocol=protocol_title(reading.tag(run, "protocol") or "-"),
        methods=methods,
        done=done,
        total=total,
        best=best,
        score=score,
    )


def _best(run: MlflowRun, objective: str, store: Store) -> tuple[str, float] | tuple[None, None]:
    """Method with the highest mean, and the mean; None if the summary is missing or has none."""
    try:
        table = pd.read_csv(StringIO(store.read_text(run, SUMMARY)), dtype=str, keep_default_na=False)
    except StudyError:  # it ended before its summary was logged, or the file was deleted
        return None, None
    means = pd.to_numeric(table[objective], errors="coerce")
    if means.isna().all():
        return None, None
    best = int(means.argmax())
    return str(original_cell(table["method"].iloc[best])), float(means.iloc[best])


def _jobs(run: MlflowRun, store: Store) -> tuple[int | None, int | None, int]:
    """Numbers of methods, of finished jobs and of all jobs."""
    try:
        plan = pd.read_csv(StringIO(store.read_text(run, PLAN)), dtype=str, keep_default_na=False)
    except StudyError:  # it ended before its plan was logged, or the file was deleted
        return None, None, 0
    finished = finished_jobs(store, run.info.experiment_id)
    return plan["method"].nunique(), int(plan["key"].isin(list(finished)).sum()), len(plan)
