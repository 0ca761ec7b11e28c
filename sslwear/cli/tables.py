"""Tables that the commands print.

Imports of other parts are for type checking or stay inside functions, so that ``sslwear data`` starts quickly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from sslwear.utils.words import shown

if TYPE_CHECKING:
    import optuna
    from mlflow.entities.model_registry import ModelVersion

    from sslwear.augmentations.base import Augmentation
    from sslwear.config import TrainingSettings
    from sslwear.data.facts import Facts
    from sslwear.data.prepare import PreparationResult
    from sslwear.data.sources.base import Source
    from sslwear.deployment.champion import Promotion
    from sslwear.deployment.prediction_files import Outcome
    from sslwear.evaluation.agreement import Agreement
    from sslwear.evaluation.comparison import Comparison, Summary
    from sslwear.pretext.base import PretextTask
    from sslwear.reports.study_report import StudyReport
    from sslwear.studies.evaluations import Evaluation
    from sslwear.studies.trials import TrialRow

RUN_LETTERS = 8
"""Number of first letters of a run's id, which are enough for ``sslwear rerun``."""


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


def trials_table(
    rows: Sequence[TrialRow],
    objective: str,
    best: int | None,
    searched: Iterable[str] = (),
    alike: Container[int] = (),
) -> Table:
    """Trials of a study, one a row; the selected one is marked, and those that cannot be told from the best.

    Batch size and augmentation have a column only where trials differ in them.

    Args:
        rows: the trials.
        objective: name of the score by which trials are compared.
        best: number of the selected trial; None if none has finished.
        searched: names of the searched keys; those that have no column of their own get one.
        alike: numbers of the trials that cannot be told from the best.
    """
    from sslwear.studies.trial import brief

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "trial", "outcome", "tuning", "pretext"):
        made.add_column(name, justify="right" if name == "trial" else "left", no_wrap=True)
    others = [name for name in searched if "." in name]
    differing = _differing(rows)
    for name in ("lr", *differing):  # several augmentations are on a line each
        made.add_column(name, justify="right", no_wrap=True)
    for name in others:  # a long name is on two lines
        words = name.removeprefix("training.").split(".")
        made.add_column("\n".join(words), justify="right", no_wrap=True)
    for name in ("epochs", "time", objective, "people"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("run", no_wrap=True)
    for row in rows:
        settings = row.settings
        made.add_row(
            "*" if row.number == best else "=" if row.number in alike else "",
            str(row.number),
            row.outcome,
            settings.tuning if settings else "-",
            settings.pretext if settings else "-",
            brief(settings.learning_rate) if settings else "-",
            *(read(settings) if settings else "-" for read in differing.values()),
            *(shown(row.searched(name)) for name in others),
            str(row.epochs),
            f"{row.seconds:.0f} s" if row.seconds is not None else "-",
            _with_error(row),
            str(len(row.participants) or "-"),
            row.run_id[:RUN_LETTERS] if row.run_id else "-",
            style="bold green" if row.number == best else "dim" if row.outcome != "finished" else "",
        )
    return made


def _differing(rows: Sequence[TrialRow]) -> dict[str, Callable[[TrainingSettings], str]]:
    """Columns for batch size and augmentation, each only where trials differ, and how their cells are read."""
    columns: dict[str, Callable[[TrainingSettings], str]] = {
        "batch": lambda settings: str(settings.batch_size),
        "augment": lambda settings: _augment_text(settings.augment),
    }
    known = [row.settings for row in rows if row.settings]
    return {name: read for name, read in columns.items() if len({read(settings) for settings in known}) > 1}


def _with_error(row: TrialRow) -> str:
    """Score of a trial with its standard error: ``0.812 ± 0.021``."""
    from sslwear.evaluation.selection import standard_error

    error = standard_error(list(row.participants.values())) if row.outcome == "finished" else math.nan
    return score_text(row.value) + ("" if math.isnan(error) else f" ± {error:.3f}")


def _augment_text(augment: bool | str) -> str:
    """`yes`, `no` or the texts of augmentations."""
    from sslwear.config.augment import JOIN, augmentation_texts

    if isinstance(augment, str):
        return f"{JOIN}\n".join(augmentation_texts(augment))
    return "yes" if augment else "no"


def scores_table(report: StudyReport) -> Table:
    """The selected trial, the file's own settings and the baseline: estimates beside test scores."""
    from sslwear.reports.study_text import limited, score_rows

    made = table("", numbers=(f"{report.score} in the search", f"{report.score} on test participants"))
    for row in score_rows(report):
        made.add_row(f"{row.role}: {row.rated.name}", limited(row.rated.estimate), limited(row.rated.test))
    return made


def studies_table(studies: Sequence[optuna.Study]) -> Table:
    """Studies, one a row: number of trials, the best validation score and the test score of that trial."""
    made = table("study", "data", "encoder", "objective")
    for name in ("trials", "pruned", "failed", "running", "validation", "test"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("best tuning", no_wrap=True)
    for study in studies:
        try:
            made.add_row(*_study_cells(study))
        except Exception:  # noqa: BLE001 - whatever another version wrote, one study must not hide the others
            made.add_row(study.study_name, "(cannot be read)")
    return made


def _study_cells(study: optuna.Study) -> list[str]:
    """Cells of a study in `studies_table`."""
    from sslwear.studies.tested import ABOUT, main_scores
    from sslwear.studies.trials import kept_settings, rows, score_of, training_of, winner

    if "settings" not in study.user_attrs:
        return [study.study_name, "(not created by sslwear)"]
    settings, best, trials = kept_settings(study), winner(study), rows(study)
    count = {outcome: sum(row.outcome == outcome for row in trials) for outcome in ("pruned", "failed", "running")}
    counted = sum(row.outcome in ("finished", "pruned", "failed") for row in trials)
    scores, what = main_scores(study, best.number) if best else ({}, "")
    return [
        *(study.study_name, settings.data, settings.encoder, settings.objective),
        f"{counted} of {max(settings.trials, counted)}",
        *(str(number or "-") for number in count.values()),
        score_text(score_of(best) if best else None),
        score_text(scores.get(settings.objective)) + (f" {what}" if scores and what != ABOUT[True] else ""),
        training_of(best).tuning if best else "-",
    ]


def evaluations_table(evaluations: Sequence[Evaluation]) -> Table:
    """Evaluations, one a row: methods, finished jobs, the best method and its test score."""
    made = table("evaluation", "data", "encoder", "objective", "protocol", numbers=("methods", "jobs", "test"))
    made.add_column("best method", overflow="fold")
    for one in evaluations:
        made.add_row(
            *(one.name, one.data, one.encoder, one.objective, one.protocol, shown(one.methods)),
            f"{one.done} of {one.total}" if one.done is not None else "-",
            score_text(one.score),
            one.best or "-",
        )
    return made


def methods_table(methods: Sequence[Summary], comparisons: Sequence[Comparison]) -> Table:
    """Methods of an evaluation, one a row: means with intervals, spread over seeds, difference from the first."""
    differences = {comparison.summary.method: comparison for comparison in comparisons}
    names = ["kappa", "f1", "participants", "seeds", "seed sd", *(("difference", "p, Holm") if comparisons else ())]
    made = table("method", numbers=names)
    for one in methods:
        kappa, spread = one.scores["kappa"], one.seed_sd["kappa"]
        cells = [str(kappa), str(one.scores["f1"]), str(kappa.participants), str(len(one.seeds)), _defined(spread)]
        if (found := differences.get(one.method)) is not None:
            cells += [found.found.interval.text("+"), _defined(found.corrected)]
        made.add_row(one.label, *cells)
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
    for name in ("study", "trial or method", "test kappa", "test f1", "test evaluations", "created"):
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


def _defined(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def agreement_table(found: Mapping[str, Agreement]) -> Table:
    """Agreement of predicted with labelled minutes, one class a row."""
    from sslwear.reports.agreement_report import HEADER, agreement_cells

    made = table(HEADER[0], last=HEADER[1:])
    for name, one in found.items():
        made.add_row(*agreement_cells(name, one))
    return made
