"""Pages of a registered model in a browser."""

from __future__ import annotations

import re
from typing import Any

import optuna
import pytest

from sslwear.deployment import registry
from sslwear.deployment.promotion.promotion import promote
from sslwear.tracking import Store
from tests.browser.conftest import Ui

ALIAS = re.compile(r"^@?\s*champion$")


@pytest.fixture(scope="module")
def champion(studied: tuple[optuna.Study, Store]) -> Any:
    """The promoted winner of the study."""
    promote("tiny", studied[1])
    return registry.find_version(studied[1], "tiny@champion")


@pytest.mark.slow
def test_a_registered_model_is_shown_with_its_alias_and_its_card(page: Any, ui: Ui, champion: Any) -> None:
    page.goto(f"{ui.address}/#/models", wait_until="domcontentloaded")
    page.get_by_role("link", name="tiny", exact=True).first.wait_for()  # a dialog with news covers it at first
    page.goto(f"{ui.address}/#/models/tiny", wait_until="domcontentloaded")
    page.get_by_text("Versions", exact=True).first.wait_for()
    page.get_by_text(ALIAS).first.wait_for()
    page.get_by_role("link", name=f"Version {champion.version}", exact=True).wait_for()
    page.goto(f"{ui.address}/#/models/tiny/versions/{champion.version}", wait_until="domcontentloaded")
    page.get_by_role("heading", name="Scores on the test participants").wait_for()
    page.get_by_text(ALIAS).first.wait_for()
    shown = page.locator("table").filter(has_text="mean over participants").first.inner_text()
    assert f"{float(champion.tags['sslwear.test_kappa'].split()[0]):.3f}" in shown
    page.get_by_text(f"#{champion.tags['sslwear.trial']} ").first.wait_for()  # the run of its weights, fetched last
