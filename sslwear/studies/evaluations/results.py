"""Results of an evaluation, read back from MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from io import StringIO

import pandas as pd
from mlflow.entities import Run as MlflowRun

from sslwear.errors import StudyError
from sslwear.evaluation.best_trials import comparable_means
from sslwear.tracking import Store
from sslwear.tracking.provenance import PREFIX
from sslwear.training.metrics import SCORES
from sslwear.utils.csv_cells import original_cell
from sslwear.utils.masking import masked

PLAN, PARTICIPANTS, VALIDATION = "plan.csv", "test_participants.csv", "participants.csv"
SUMMARY = "summary.csv"
CONFUSION = "test_confusion.csv"
"""Windows of the test participants by true and predicted class."""
COLUMNS = (
    *("dataset", "protocol", "transductive", "supervised", "method", "seed", "averaged_seeds", "fold", "participant"),
    "windows",
    *("kappa", "f1", "precision", "recall", "f1_all_classes", "accuracy", "run_id"),
)


def finished_jobs(store: Store, experiment: str) -> dict[str, MlflowRun]:
    """Finished jobs of an MLflow experiment, by key."""
    runs = store.find_runs(experiment, kind="cross_validation_job", outcome="finished")
    return {run.data.tags[f"{PREFIX}evaluation_key"]: run for run in runs}


def newest_evaluation(store: Store, experiment: str) -> MlflowRun | None:
    """Parent run of the newest evaluation of an MLflow experiment; None if there is none."""
    return next(iter(store.find_runs(experiment, kind="cross_validation")), None)


def evaluation_run(name: str, store: Store) -> MlflowRun | None:
    """Parent run of a study's newest evaluation; None if it was not evaluated."""
    experiment = store.client.get_experiment_by_name(name)
    return newest_evaluation(store, experiment.experiment_id) if experiment is not None else None


def is_evaluated(name: str, store: Store) -> bool:
    """Whether a study was evaluated."""
    return evaluation_run(name, store) is not None


def results(name: str, store: Store) -> pd.DataFrame:
    """Scores of test participants of a study's newest evaluation; jobs that have not finished are absent.

    Args:
        name: name of the study.
        store: store of its runs.

    Returns:
        One row a method, seed, fold and participant, with the columns `COLUMNS`: methods in the order of the study
        file, the seeds that an ensemble averages (text, empty for other methods), participants as text, scores as in
        `sslwear.training.metrics`, NaN where they are undefined.

    Raises:
        StudyError: when the study was not evaluated.
    """
    parent = evaluation_run(name, store)
    if parent is None:
        raise not_evaluated(name, store)
    plan = pd.read_csv(StringIO(store.read_text(parent, PLAN)), dtype={"method": str}, keep_default_na=False)
    runs = finished_jobs(store, parent.info.experiment_id)
    tables = []
    for method, seed, fold, key in plan.itertuples(index=False):
        if (run := runs.get(key)) is None:
            continue
        table = read_participants(store.read_text(run, PARTICIPANTS))
        tags = {name: run.data.tags[f"{PREFIX}{name}"] for name in ("dataset", "protocol", "transductive")}
        # A data set may have been renamed since a job was done.
        tags["dataset"] = parent.data.tags.get(f"{PREFIX}dataset", tags["dataset"])
        tags |= {name: run.data.tags.get(f"{PREFIX}{name}", "") for name in ("supervised", "averaged_seeds")}
        table = table.assign(**tags, method=method, seed=seed, fold=fold, run_id=run.info.run_id)
        tables.append(table.assign(transductive=tags["transductive"] == "true")[list(COLUMNS)])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def confusions(found: pd.DataFrame, store: Store) -> dict[str, pd.DataFrame]:
    """Windows by true class (index) and predicted class (columns), by method, over all folds and seeds.

    Methods are left out if one of their runs was deleted, or was done by a version that did not keep them.

    Args:
        found: see `results`.
        store: store of the runs.
    """
    counted = {}
    for method, ids in found.groupby("method", sort=False)["run_id"]:
        runs = [store.find_run(one) for one in ids.unique()]
        with suppress(StudyError):
            tables = [_read_confusion(store.read_text(run, CONFUSION)) for run in runs if run is not None]
            if len(tables) == len(runs):
                counted[str(method)] = sum(tables[1:], start=tables[0])
    return counted


def validation_means(store: Store, members: Mapping[str, MlflowRun], objective: str) -> dict[str, float]:
    """Mean objective of trained methods over the validation participants whose score is defined for all of them.

    Args:
        store: store of the runs.
        members: runs of the methods in one fold with one seed, by name.
        objective: name of the score.
    """
    tables = {name: read_participants(store.read_text(run, VALIDATION)) for name, run in members.items()}
    scores = pd.DataFrame({name: table.set_index("participant")[objective] for name, table in tables.items()})
    means = comparable_means(scores.T)
    return {name: float(means[name]) for name in members}


def not_evaluated(name: str, store: Store) -> StudyError:
    """The error about a study without an evaluation, or that does not exist."""
    if store.client.get_experiment_by_name(name) is None:
        place = masked(store.tracking_uri)
        return StudyError(f"there is no study or evaluation {name!r} in {place}. Check its name, or SSLWEAR_HOME")
    return StudyError(f"the study {name!r} was not evaluated yet. Run sslwear evaluate with its file first")


def read_participants(text: str) -> pd.DataFrame:
    """Read a table of participants, whose names may look like numbers or missing values."""
    kinds = {"participant": str, **dict.fromkeys(SCORES, float)}
    table = pd.read_csv(StringIO(text), dtype=kinds, keep_default_na=False, na_values={key: [""] for key in SCORES})
    return table.assign(participant=table["participant"].map(original_cell))


def _read_confusion(text: str) -> pd.DataFrame:
    """Read a table of `confusion_table`: windows by true class (index) and predicted class (columns)."""
    counts = pd.read_csv(StringIO(text)).iloc[:, 1:]
    names = [original_cell(name).removeprefix("predicted_") for name in counts.columns]
    return pd.DataFrame(counts.to_numpy(), names, names)
