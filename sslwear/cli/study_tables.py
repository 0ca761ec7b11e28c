"""Tables of studies, trials and evaluations that the commands print.

Imports of other parts are for type checking or stay inside functions, so that the command starts quickly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from sslwear.cli.tables import score_text, table
from sslwear.utils.words import shown

if TYPE_CHECKING:
    import optuna

    from sslwear.config import TrainingSettings
    from sslwear.evaluation.comparison import Comparison, Summary
    from sslwear.reports.study_report import StudyReport
    from sslwear.studies.database.trials import TrialRow
    from sslwear.studies.evaluations.listing import Evaluation

RUN_LETTERS = 8
"""Number of first letters of a run's id, which are enough for ``sslwear rerun``."""


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
    from sslwear.studies.trial.training_run import brief

    others = [name for name in searched if "." in name]
    differing = _differing(rows)
    made = _empty_trials_table(differing, others, objective)
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
            "-" if row.epochs is None else str(row.epochs),
            f"{row.seconds:.0f} s" if row.seconds is not None else "-",
            _with_error(row),
            str(len(row.participants) or "-"),
            row.run_id[:RUN_LETTERS] if row.run_id else "-",
            style="bold green" if row.number == best else "dim" if row.outcome != "finished" else "",
        )
    return made


def _empty_trials_table(differing: Iterable[str], others: Sequence[str], objective: str) -> Table:
    """Columns of `trials_table`: those that trials differ in, and other searched keys, behind the learning rate."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "trial", "outcome", "tuning", "pretext"):
        made.add_column(name, justify="right" if name == "trial" else "left", no_wrap=True)
    for name in ("lr", *differing):  # several augmentations are on a line each
        made.add_column(name, justify="right", no_wrap=True)
    for name in others:  # a long name is on two lines
        words = name.removeprefix("training.").split(".")
        made.add_column("\n".join(words), justify="right", no_wrap=True)
    for name in ("epochs", "time", objective, "people"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("run", no_wrap=True)
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


def groups_table(report: StudyReport) -> Table:
    """Means over the trials with the same tuning strategy, and with the same pretext task, with their intervals."""
    from sslwear.reports.study_text import limited

    made = table("trials with the same", "", numbers=(f"mean {report.score} [95 % interval]",))
    for by, groups in report.grouped.items():
        for place, (name, found) in enumerate(groups.items()):
            made.add_row("" if place else by, name, limited(found))
    return made


def pareto_table(report: StudyReport) -> Table:
    """The trials on the Pareto front, the highest mean first."""
    made = table("on the Pareto front", "", numbers=(f"{report.score} ± SE", str(report.second)))
    for one in report.front:
        second = "-" if one.second is None else f"{one.second:,.0f}"
        made.add_row(f"trial {one.number}", report.named(one, most=4), one.text(), second)
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
    from sslwear.studies.database.budget import END
    from sslwear.studies.database.tested_trials import ABOUT, main_scores
    from sslwear.studies.database.trials import kept_settings, rows, score_of, training_of, winner

    if "settings" not in study.user_attrs:
        return [study.study_name, "(not created by sslwear)"]
    settings, best, trials = kept_settings(study), winner(study), rows(study)
    count = {outcome: sum(row.outcome == outcome for row in trials) for outcome in ("pruned", "failed", "running")}
    counted = sum(row.outcome in ("finished", "pruned", "failed") for row in trials)
    scores, what = main_scores(study, best.number) if best else ({}, "")
    end = study.user_attrs.get(END) or {}
    total = end["trials"] if end.get("by") == "trials" else settings.trials  # --trials may have asked for fewer
    return [
        *(study.study_name, settings.data, settings.encoder, settings.objective),
        f"{counted} of {max(total, counted)}",
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


def methods_table(methods: Sequence[Summary], comparisons: Sequence[Comparison], objective: str) -> Table:
    """Methods of an evaluation, one a row: means with intervals, spread over seeds, difference from the first.

    Args:
        methods: the methods.
        comparisons: with the first one, in the objective.
        objective: the score of the number of participants and of the spread over seeds.
    """
    differences = {comparison.summary.method: comparison for comparison in comparisons}
    names = ["kappa", "f1", "people", "seeds", "seed sd", *(("difference", "p, Holm") if comparisons else ())]
    made = table("method", numbers=names)
    for one in methods:
        people, spread = one.scores[objective].participants, one.seed_sd[objective]
        cells = [str(one.scores["kappa"]), str(one.scores["f1"]), str(people), str(len(one.seeds)), _defined(spread)]
        if (found := differences.get(one.method)) is not None:
            cells += [found.found.interval.text("+"), _defined(found.corrected)]
        made.add_row(one.label, *cells)
    return made


def _defined(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
