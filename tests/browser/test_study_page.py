"""Pages of a study in a browser, at the addresses that ``sslwear ui`` prints."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest

from sslwear.evaluation.selection import standard_error
from sslwear.studies.database.trials import winner
from sslwear.tracking import Store
from tests.browser.conftest import Ui

COLUMNS = [
    *("sslwear.outcome", "kappa", "kappa_se", "f1", "sslwear.like_best"),
    *("tuning", "learning_rate", "pretext"),
]
TESTS = ["test_kappa", "test_f1"]
"""Columns that only the study's own run and promoted trials fill."""


def address(ui: Ui, beginning: str) -> str:
    """The address that the command printed after a text."""
    (line,) = [line for line in ui.lines if line.strip().startswith(beginning)]
    return line.strip().removeprefix(beginning).strip()


def open_table(page: Any, where: str) -> None:
    page.goto(where, wait_until="domcontentloaded")
    page.locator(".ag-row a").first.wait_for()


def names(page: Any) -> list[str]:
    """Names of the runs in the order of the rows; the table has the cells of a row in several elements."""
    found = page.locator(".ag-row a").evaluate_all(
        "links => links.map(link => [link.closest('.ag-row').getAttribute('row-index'), link.innerText])"
    )
    return [name for _, name in sorted((int(index), name) for index, name in found)]


def columns(page: Any) -> list[str]:
    """Names of the columns of metrics, parameters and tags, from left to right."""
    found = page.locator(".ag-header-cell").evaluate_all(
        "cells => cells.map(cell => [cell.getBoundingClientRect().x, cell.getAttribute('col-id')])"
    )
    kinds = ("metrics.`", "params.`", "tags.`")
    return [column.split("`")[1] for _, column in sorted(found) if column.startswith(kinds)]


def besides_tests(page: Any) -> list[str]:
    return [column for column in columns(page) if column not in TESTS]


def cell(page: Any, row: int, column: str) -> str:
    return str(page.locator(f".ag-row[row-index='{row}'] [col-id='{column}']").first.inner_text())


def run_names(study: optuna.Study, store: Store) -> dict[int, str]:
    """Names of the trials' runs, by number."""
    runs = {trial.number: store.find_run(trial.user_attrs["run_id"]) for trial in study.trials}
    return {number: run.info.run_name for number, run in runs.items() if run is not None and run.info.run_name}


def test_the_page_opens_with_the_important_columns_and_the_best_trial_first(
    page: Any, ui: Ui, studied: tuple[optuna.Study, Store]
) -> None:
    study, store = studied
    best = winner(study)
    assert best is not None
    open_table(page, address(ui, "tiny:"))
    deadline = time.monotonic() + 30
    while besides_tests(page) != COLUMNS and time.monotonic() < deadline:
        page.wait_for_timeout(200)  # the table sorts its columns after showing them
    assert besides_tests(page) == COLUMNS
    listed = names(page)
    assert sorted(run_names(study, store).values()) == sorted(listed)
    assert listed[0] == run_names(study, store)[best.number]
    values = [cell(page, row, "metrics.`kappa`") for row in range(len(study.trials))]
    assert float(values[0]) == pytest.approx(best.value, rel=1e-3)
    assert max(map(len, values)) <= len("-0.1234")
    scores = [float(value) for value in values if value != "-"]
    assert scores == sorted(scores, reverse=True)
    assert {cell(page, row, "tags.`sslwear.outcome`") for row in range(len(listed))} <= {"finished", "pruned", "failed"}


def test_trials_are_nested_below_their_study_on_every_visit(
    page: Any, ui: Ui, studied: tuple[optuna.Study, Store]
) -> None:
    study, store = studied
    newest_first = [name for _, name in sorted(run_names(study, store).items(), reverse=True)]
    open_table(page, address(ui, "tiny:"))  # MLflow unfolds some runs on a first visit only
    open_table(page, f"{ui.address}/nested/tiny")
    page.get_by_text(newest_first[0]).first.wait_for()
    listed = names(page)
    assert sorted(columns(page)) == sorted([*COLUMNS, *TESTS])
    assert listed[0] == "tiny"
    assert [name for name in listed if name.startswith("#")] == newest_first
    page.locator(".ag-row[row-index='0'] button").first.click()  # folds the rows, which works for nested rows only
    page.get_by_text(newest_first[0]).first.wait_for(state="hidden")
    assert names(page) == ["tiny"]


def test_the_server_opens_with_the_experiments_in_the_mode_for_model_training(page: Any, ui: Ui) -> None:
    page.goto(ui.address, wait_until="domcontentloaded")
    page.get_by_role("link", name="tiny", exact=True).first.wait_for()
    page.get_by_role("link", name="Model registry").first.wait_for()  # the other mode has prompts in its place
    assert page.get_by_text("Prompts", exact=True).count() == 0
    page.locator("[data-assistant-ui]").first.wait_for(state="hidden")
    page.locator("a[href='#/']").first.wait_for(state="hidden")


def test_a_run_opened_by_its_address_is_among_runs(page: Any, ui: Ui, studied: tuple[optuna.Study, Store]) -> None:
    study, store = studied
    run = store.client.get_run(study.trials[0].user_attrs["run_id"])
    page.goto(f"{ui.address}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}", wait_until="commit")
    page.get_by_text("About this run").wait_for()
    page.get_by_role("link", name="Runs").first.wait_for()
    assert page.get_by_text("Evaluation runs").count() == page.get_by_text("Judges").count() == 0


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {"Host": "evil.example"}, 403),
        ("/ajax-api/2.0/mlflow/experiments/search?max_results=1", {"Origin": "http://localhost:1"}, 403),
        ("/ajax-api/3.0/mlflow/assistant/config", {}, 404),
        ("/study/none", {}, 404),
    ],
)
def test_foreign_requests_and_the_assistant_are_refused(
    ui: Ui, path: str, headers: dict[str, str], status: int
) -> None:
    request = urllib.request.Request(f"{ui.address}{path}", headers=headers)
    with pytest.raises(urllib.error.HTTPError, match=str(status)):
        urllib.request.urlopen(request, timeout=60)


def test_the_output_has_addresses_and_no_log(page: Any, ui: Ui) -> None:
    open_table(page, address(ui, "tiny:"))
    assert ui.lines[0] == f"tiny: {ui.address}/study/tiny"
    assert len(ui.lines) == 3


def test_the_page_of_the_verdict_has_means_with_errors_and_marks(
    page: Any, ui: Ui, studied: tuple[optuna.Study, Store], tmp_path: Path
) -> None:
    study, store = studied
    run_id = study.user_attrs["run_id"]
    page.goto(f"file://{store.client.download_artifacts(run_id, 'study.html', str(tmp_path))}")
    best = winner(study)
    assert best is not None
    row = page.locator(f"#trial-{best.number}")
    assert row.is_visible()
    people = list(best.user_attrs["people"].values())
    expected = f"{best.value:.3f} ± {standard_error(people):.3f}" if len(people) > 1 else f"{best.value:.3f}"
    assert expected in row.inner_text()
    assert "selected" in row.inner_text()
    marked = page.get_by_text("cannot be told from the best").count()
    assert marked >= sum(
        store.client.get_run(trial.user_attrs["run_id"]).data.tags.get("sslwear.like_best") == "yes"
        for trial in study.trials
    )
    for picture in page.locator("svg, img").all():
        assert picture.bounding_box()["width"] > 100


@pytest.mark.parametrize(
    ("kind", "path"), [("trial", "participants.png"), ("trial", "confusion.png"), ("study", "trials.png")]
)
def test_a_picture_is_shown_on_its_runs_page(
    page: Any, ui: Ui, studied: tuple[optuna.Study, Store], kind: str, path: str
) -> None:
    study, store = studied
    name = run_names(study, store)[0] if kind == "trial" else "tiny"
    open_table(page, f"{ui.address}/nested/tiny")
    page.locator(".ag-row").get_by_role("link", name=name, exact=True).click()
    page.get_by_text("About this run").wait_for()
    page.goto(f"{page.url.split('?')[0]}/artifacts", wait_until="domcontentloaded")
    page.get_by_text(path, exact=True).first.click()
    picture = page.locator("img[src^='blob:']").first
    picture.wait_for()
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    assert picture.is_visible()
