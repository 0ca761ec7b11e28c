"""What the commands about models print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mlflow.entities.model_registry import ModelVersion
from rich.markup import escape
from rich.table import Table

from sslwear.deployment.promotion import Promotion
from sslwear.tracking.provenance import PREFIX

SHOWN = ("kappa", "f1", "precision", "recall", "accuracy")


def promotion_table(found: Promotion) -> Table:
    """Scores of the newcomer, of the champion, and their paired difference."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("test participants")
    table.add_column(f"trial {found.trial}")
    compared = bool(found.differences)
    if compared:
        table.add_column(f"{found.name} version {found.champion}")
        table.add_column("difference")
        table.add_column("p")
    for name in SHOWN:
        row = [name, str(found.scores[name])]
        if compared:
            change = found.differences[name]
            row += [str(found.champion_scores[name]), str(change.interval), f"{change.p:.3f}"]
        table.add_row(*map(escape, row))
    return table


def models_table(rows: Sequence[tuple[ModelVersion, Sequence[str], int]]) -> Table:
    """Versions, each with its aliases as they are written, and how often its study's test participants were scored."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "alias", "study", "trial", "test kappa", "test f1", "looks", "made"):
        table.add_column(
            name, overflow="fold", no_wrap=name in ("model", "alias")
        )  # which are there to be pasted whole
    for version, aliases, looks in rows:
        tags = {key.removeprefix(PREFIX): value for key, value in version.tags.items()}
        cells = [
            f"{version.name}/{version.version}",
            "\n".join(f"{version.name}@{alias}" for alias in aliases) or "-",
            *(tags.get(key, "-") for key in ("study", "trial", "test_kappa", "test_f1")),
            str(looks) if looks else "-",
            f"{datetime.fromtimestamp(version.creation_timestamp / 1000, UTC):%Y-%m-%d %H:%M}",
        ]
        table.add_row(*map(escape, cells))
    return table
