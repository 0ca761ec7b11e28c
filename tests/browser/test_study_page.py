"""Pages of a study in a browser, at the addresses that ``sslwear ui`` prints."""

from __future__ import annotations

import time
from typing import Any

import optuna
import pytest

from sslwear.studies.trials import winner
from sslwear.tracking import Store
from tests.browser.conftest import Ui

COLUMNS = ["kappa", "f1", "tuning", "learning_rate", "pretext", "test_kappa", "test_f1", "sslwear.outcome"]


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
    while columns(page) != COLUMNS and time.monotonic() < deadline:
        page.wait_for_timeout(200)  # the table sorts its columns after showing them
    assert columns(page) == COLUMNS
    listed = names(page)
    assert set(run_names(study, store).values()) | {"tiny", "pretext reverse"} == set(listed)
    assert run_names(study, store)[best.number] in listed[:2]
    values = [cell(page, row, "metrics.`kappa`") for row in range(len(study.trials) + 1)]
    assert float(values[0]) == pytest.approx(best.value)
    assert [float(value) for value in values] == sorted(map(float, values), reverse=True)
    row = listed.index("tiny")
    tested = study.user_attrs["tested"][str(best.number)]
    assert float(cell(page, row, "metrics.`test_kappa`")) == pytest.approx(tested["kappa"])


def test_trials_are_nested_below_their_study(page: Any, ui: Ui, studied: tuple[optuna.Study, Store]) -> None:
    study, store = studied
    open_table(page, address(ui, "nested under the study:"))
    newest_first = [name for _, name in sorted(run_names(study, store).items(), reverse=True)]
    page.get_by_text(newest_first[0]).first.wait_for()
    listed = names(page)
    assert listed[0] == "tiny"
    assert [name for name in listed if name.startswith("#")] == newest_first
    page.locator(".ag-row[row-index='0'] button").first.click()  # folds the rows, which works for nested rows only
    page.get_by_text(newest_first[0]).first.wait_for(state="hidden")
    assert names(page) == ["tiny"]


@pytest.mark.parametrize(
    ("kind", "path"), [("trial", "participants.png"), ("trial", "confusion.png"), ("study", "study.png")]
)
def test_a_picture_is_shown_on_its_runs_page(
    page: Any, ui: Ui, studied: tuple[optuna.Study, Store], kind: str, path: str
) -> None:
    study, store = studied
    name = run_names(study, store)[0] if kind == "trial" else "tiny"
    open_table(page, address(ui, "tiny:"))
    page.locator(".ag-row").get_by_role("link", name=name, exact=True).click()
    page.get_by_text("About this run").wait_for()
    page.goto(f"{page.url.split('?')[0]}/artifacts", wait_until="domcontentloaded")
    page.get_by_text(path, exact=True).first.click()
    picture = page.locator("img[src^='blob:']").first
    picture.wait_for()
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
