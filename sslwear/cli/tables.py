"""Tables that the commands print.

Imports of other parts are for type checking or stay inside functions, so that ``sslwear data`` starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from sslwear.augmentations.base import Augmentation
    from sslwear.data.facts import Facts
    from sslwear.data.prepare import PreparationResult
    from sslwear.data.sources.base import Source
    from sslwear.deployment.prediction.files import Outcome
    from sslwear.deployment.promotion.champion import Promotion
    from sslwear.evaluation.agreement import Agreement
    from sslwear.pretext.base import PretextTask


def table(*columns: str, numbers: Sequence[str] = (), last: Sequence[str] = ()) -> Table:
    """An empty table.

    Args:
        columns: names of the first columns, which fold long texts.
        numbers: names of the next columns, aligned to the right and never folded.
        last: names of the last columns, which fold long texts.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True)
    for name in last:
        made.add_column(name, overflow="fold")
    return made


def facts_table(facts: Facts) -> Table:
    """Facts about a data set, one a row."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, text in facts.rows:
        made.add_row(name, text)
    return made


def sources_table(sources: Sequence[type[Source]]) -> Table:
    """Sources of recordings, one a row."""
    made = table("source", "content", "licence", "where to get it")
    for source in sources:
        where = "included" if source.embedded else source.homepage
        made.add_row(source.name, source.title, source.licence, where)
    return made


def results_table(results: Sequence[PreparationResult], clipped: bool) -> Table:
    """Windows of each participant of a prepared data set.

    Args:
        results: one a participant.
        clipped: whether to show the number of windows at the limit of the sensor's range.
    """
    counts = ["windows", "without label", "not worn", *(["at the limit"] if clipped else [])]
    made = table("participant", numbers=counts, last=[""])
    for result in results:
        values = [result.windows, result.unlabelled, result.nonwear, *([result.clipped] if clipped else [])]
        made.add_row(str(result.participant), *map(str, values), "could not be read" if result.error else result.note)
    return made


def pretext_table(tasks: Mapping[str, type[PretextTask]]) -> Table:
    """Pretext tasks, one a row."""
    made = table("task", "score", "question")
    for name, task in tasks.items():
        made.add_row(name, task.headline, task.title)
    return made


def augmentations_table(augmentations: Mapping[str, type[Augmentation]]) -> Table:
    """Augmentations, one a row."""
    from sslwear.augmentations.base import forms_of

    made = table("augmentation", "in a study file", "what it does")
    for name, augmentation in augmentations.items():
        what = (augmentation.__doc__ or "").strip().partition("\n")[0]
        made.add_row(name, ", ".join(forms_of(augmentation)), what)
    return made


def promotion_table(found: Promotion) -> Table:
    """Test scores of a trial or a method and of the champion, with their paired difference."""
    made = table("test participants", f"trial {found.trial}" if found.method is None else found.method)
    from sslwear.evaluation.intervals import p_text

    compared = bool(found.differences)
    if compared:
        for name in (f"{found.name} version {found.champion}", "difference", "p"):
            made.add_column(name)
    for name in ("kappa", "f1", "precision", "recall", "accuracy"):
        row = [name, str(found.scores[name])]
        if compared:
            change = found.differences[name]
            row += [str(found.champion_scores[name]), change.interval.text("+"), p_text(change.p)]
        made.add_row(*row)
    return made


def models_table(rows: Sequence[tuple[ModelVersion, Sequence[str], int]]) -> Table:
    """Registered versions, one a row.

    Args:
        rows: versions with their aliases and the number of test evaluations of their study; 0 if it is not known.
    """
    from sslwear.tracking.provenance import PREFIX

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "alias"):  # on one line each, to be copied
        made.add_column(name, overflow="fold", no_wrap=True)
    for name in ("study", "trial or method", "test kappa", "test f1", "test evaluations", "created (UTC)"):
        made.add_column(name, overflow="fold")
    for version, aliases, evaluations in rows:
        tags = {key.removeprefix(PREFIX): value for key, value in version.tags.items()}
        cells = [
            f"{version.name}/{version.version}",
            "\n".join(f"{version.name}@{alias}" for alias in aliases) or "-",
            tags.get("study", "-"),
            tags.get("trial", tags.get("method", "-")),
            *(tags.get(key, "-") for key in ("test_kappa", "test_f1")),
            str(evaluations) if evaluations else "-",
            f"{datetime.fromtimestamp(version.creation_timestamp / 1000, UTC):%Y-%m-%d %H:%M}",
        ]
        made.add_row(*cells)
    return made


def outcomes_table(outcomes: Sequence[Outcome], failed: str = "not predicted") -> Table:
    """Predicted recordings, one a row; `failed` is the note of those with an error."""
    made = table("recording", numbers=("windows", "not worn"), last=[""])
    for outcome in outcomes:
        note = failed if outcome.error else outcome.note
        made.add_row(outcome.name, str(outcome.windows), str(outcome.nonwear), note)
    return made


def score_text(value: float | None) -> str:
    """A score with three decimals; ``-`` for None."""
    return "-" if value is None else f"{value:.3f}"


def agreement_table(found: Mapping[str, Agreement]) -> Table:
    """Agreement of predicted with labelled minutes, one class a row."""
    from sslwear.reports.agreement_report import HEADER, agreement_cells

    made = table(HEADER[0], last=HEADER[1:])
    for name, one in found.items():
        made.add_row(*agreement_cells(name, one))
    return made
