"""Tables that ``sslwear study compare`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from sslwear.cli.tables import score_text, table
from sslwear.utils.words import shown

if TYPE_CHECKING:
    from sslwear.studies.results.compare import Row, Side


def settings_table(differing: Sequence[Row], left: str, right: str) -> Table:
    """Settings that differ between two studies, one a row."""
    made = table("setting", left, right)
    for row in differing:
        made.add_row(row.name, shown(row.left), shown(row.right))
    return made


def best_table(left: Side, right: Side) -> Table:
    """Best trials of two studies: settings and scores."""
    from sslwear.evaluation.participants import POOLED, validation_title
    from sslwear.studies.database.trials import logged_settings
    from sslwear.training.metrics import HEADLINE_SCORES

    made = table("best trial", left.name, right.name)
    bests = [side.best for side in (left, right)]
    found = [logged_settings(best) if best else {} for best in bests]
    made.add_row("number", *(str(best.number) if best else "-" for best in bests))
    for key in dict.fromkeys([*found[0], *found[1]]):
        made.add_row(key, *(shown(settings.get(key)) for settings in found))
    for score in HEADLINE_SCORES:
        made.add_row(
            validation_title(score, _pooled(left, right)),
            *(score_text(_validation(side, score)) for side in (left, right)),
        )
    tests = [side.tests for side in (left, right) if side.tests]
    pooled = any(HEADLINE_SCORES[0] not in test for test in tests)  # by version 0.1
    prefix, what = (POOLED, " over all windows") if pooled else ("", ", mean over participants")
    for score in HEADLINE_SCORES if tests else ():
        cells = (score_text(side.tests.get(prefix + score)) if side.tests else "not tested" for side in (left, right))
        made.add_row(f"test {score}{what}", *cells)
    return made


def _validation(side: Side, score: str) -> float | None:
    """Score of the best trial at its best epoch."""
    if side.best is None:
        return None
    run = side.store.find_run(side.best.user_attrs["run_id"])
    if run is not None and score in run.data.metrics:
        return float(run.data.metrics[score])
    return side.best.values[0] if score == side.settings.objective else None


def _pooled(left: Side, right: Side) -> bool:
    """Whether the validation scores of two studies are over all windows, as in version 0.1."""
    return not (left.by_participant or right.by_participant)


def groups_table(left: Side, right: Side, score: str, by: str) -> Table:
    """Best and median scores of two studies by tuning strategy or pretext task.

    Args:
        left: one study.
        right: the other study.
        score: ``kappa`` or ``f1``.
        by: ``tuning`` or ``pretext``.
    """
    from sslwear.evaluation.participants import validation_title
    from sslwear.studies.results.compare import groups

    title = validation_title(score, _pooled(left, right))
    made = table(f"{title} by {'pretext task' if by == 'pretext' else 'tuning strategy'}")
    for side in (left, right):
        for what in ("best", "median", "trials"):
            made.add_column(f"{side.name}: {what}", justify="right")
    for row in groups(left, right, score, by):
        cells = []
        for found in (row.left, row.right):
            cells += [score_text(found[0]), score_text(found[1]), str(found[2])] if found else ["-"] * 3
        made.add_row(row.name, *cells)
    return made
