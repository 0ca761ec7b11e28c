"""Tables of the command: a study of another version does not hide the others."""

from __future__ import annotations

import optuna
import pytest
from rich.console import Console

from sslwear.cli.study_tables import groups_table, pareto_table, studies_table, trials_table
from sslwear.config import Settings, TrainingSettings
from sslwear.evaluation.intervals import interval
from sslwear.reports.study_report import StudyReport, TrialResult
from sslwear.studies.database.optuna_storage import all_studies, open_storage
from sslwear.studies.database.trials import rows
from sslwear.tracking import Store, databases


@pytest.mark.parametrize("stored", ['"study: x\\nunknown_key_of_another_version: 1"', "3", "null", "[1]"])
def test_a_study_that_cannot_be_read_does_not_hide_the_others(store: Store, stored: str) -> None:
    storage = open_storage(store)
    for name in ("bad", "other"):
        optuna.create_study(study_name=name, storage=storage)
    optuna.load_study(study_name="bad", storage=storage).set_user_attr("settings", "")
    with databases.connect(store.home / "optuna.db") as connection:
        connection.execute("UPDATE study_user_attributes SET value_json = ? WHERE key = 'settings'", (stored,))
    console = Console(width=120)
    with console.capture() as shown:
        console.print(studies_table(all_studies(store)))
    assert "(cannot be read)" in shown.get()
    assert "not created by sslwear" in shown.get()


def test_a_study_that_was_asked_for_fewer_trials_is_not_listed_as_unfinished(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(store))
    study.set_user_attr("settings", Settings(study="s", data="smartwatch", trials=10).to_yaml())
    for ended, listed in ((None, "0 of 10"), ({"by": "trials", "trials": 8}, "0 of 8"), ({"by": "hours"}, "0 of 10")):
        study.set_user_attr("end", ended)
        console = Console(width=200)
        with console.capture() as shown:
            console.print(studies_table(all_studies(store)))
        assert listed in shown.get()


@pytest.mark.parametrize("settings", [{"unknown": 1}, {"learning_rate": "fast"}, [1, 2]])
def test_a_trial_of_another_version_has_no_settings(store: Store, settings: object) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(store))
    study.ask().set_user_attr("settings", settings)
    (row,) = rows(study)
    assert row.settings is None


@pytest.mark.parametrize("objectives", [1, 2])
def test_epochs_are_those_of_the_lowest_loss_or_so_far(store: Store, objectives: int) -> None:
    storage = open_storage(store)
    study = optuna.create_study(study_name="s", storage=storage, directions=["maximize", "minimize"][:objectives])
    for best in (3, None):
        trial = study.ask()
        for epoch in range(1, 6) if objectives == 1 else ():  # Optuna refuses reports of two objectives
            trial.report(0.1, epoch)
        if best is not None:
            trial.set_user_attr("best_epoch", best)
            study.tell(trial, [0.1, 9.0][:objectives])
    found = [row.epochs for row in rows(study)]
    assert found == [3, 5 if objectives == 1 else None]
    columns = {str(column.header): list(column.cells) for column in trials_table(rows(study), "kappa", None).columns}
    assert columns["epochs"] == ["3", "5" if objectives == 1 else "-"]


def test_a_list_of_augmentations_is_on_several_lines(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(store))
    for augment in (True, "rotate(20)", "rotate(20)+scale(0.1)"):
        study.ask().set_user_attr("settings", TrainingSettings(augment=augment).model_dump())
    console = Console(width=120)
    with console.capture() as shown:
        console.print(trials_table(rows(study), "kappa", None))
    lines = [line.split() for line in shown.get().splitlines()]
    assert "batch" not in lines[0]
    assert [line[5] for line in lines[1:4]] == ["yes", "rotate(20)", "rotate(20)+"]
    assert lines[4] == ["scale(0.1)"]


def test_columns_that_are_equal_for_all_trials_are_left_out(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(store))
    for batch in (32, 64):
        study.ask().set_user_attr("settings", TrainingSettings(augment="rotate(20)", batch_size=batch).model_dump())
    header = [str(column.header) for column in trials_table(rows(study), "kappa", None).columns]
    assert header[5:7] == ["lr", "batch"]
    assert "augment" not in header


def test_means_by_group_have_intervals_and_the_front_its_second_objective() -> None:
    people = {"a": 0.8, "b": 0.7}
    trials = tuple(
        TrialResult(number, "finished", {}, tuning, "none", 0.75 - 0.1 * number, 0.02, people, second=1000.0 * number)
        for number, tuning in enumerate(["all", "head", "layer5"])
    )
    groups = {"tuning": {"all": interval([0.5, 0.6, 0.7, 0.6, 0.5]), "head": interval([0.8] * 5)}, "pretext": {}}
    report = StudyReport(
        *("tiny", "kappa", "adl", "cnn5", "none", "Judged."),
        trials=trials,
        winner=0,
        groups=groups,
        second="tuned parameters",
        pareto=(1, 2),
    )
    console = Console(width=120)
    with console.capture() as shown:
        console.print(groups_table(report))
        console.print(pareto_table(report))
    lines = [line.split() for line in shown.get().splitlines()]
    assert ["tuning", "head", "0.800", "[0.800,", "0.800]"] in lines
    (row,) = [line for line in lines if line[:1] == ["all"]]
    assert row[1] == "0.580"
    assert [line[-1] for line in lines if line[:1] == ["trial"]] == ["1,000", "2,000"]
