"""Report of the agreement of predictions with labels: tables as CSV and Markdown, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.errors import DataError
from sslwear.evaluation.agreement import Agreement, Estimate, Group, LabelComparison, by_class
from sslwear.evaluation.intervals import TOO_FEW, interval
from sslwear.reports.agreement_figure import bland_altman_figure
from sslwear.reports.report_figures import small_png
from sslwear.reports.training_figures import confusion_figure
from sslwear.utils.console import printable
from sslwear.utils.csv_cells import write_csv

REPORT = "AGREEMENT.md"
TABLE, PEOPLE, CONFUSION, SCORES = (
    *("agreement.csv", "agreement_participants.csv"),
    *("agreement_confusion.csv", "agreement_scores.csv"),
)
PICTURE, CONFUSION_PICTURE = "agreement.png", "agreement_confusion.png"
FILES = (REPORT, TABLE, PEOPLE, CONFUSION, SCORES, PICTURE, CONFUSION_PICTURE)
SHOWN_SCORES = ("kappa", "f1", "accuracy")
HEADER = ("class", "people", "predicted", "labelled", "bias", "lower limit", "upper limit", "Pearson r", "Lin's CCC")
EXPLANATION = (
    "A participant is one observation. Bias is the mean of predicted minus labelled minutes; 95 % of differences are "
    "expected between the limits of agreement, bias ± 1.96 standard deviations. Brackets are 95 % confidence "
    "intervals: those of minutes assume normal differences, and those of scores over windows are bootstrap intervals. "
    "CCC is Lin's concordance correlation coefficient."
)


def agreement_cells(name: str, found: Agreement) -> list[str]:
    """A row of the table of agreement, with the columns of `HEADER`."""
    minutes = [f"{found.predicted:.1f}", f"{found.labelled:.1f}"]
    limits = [one.text() for one in (found.bias, found.lower, found.upper)]
    return [
        name,
        str(found.participants),
        *minutes,
        *limits,
        found.correlation.text(".3f"),
        found.concordance.text(".3f"),
    ]


def write_agreement(found: LabelComparison, groups: Sequence[Group], out: Path) -> list[Path]:
    """Write the report.

    Args:
        found: predictions beside labels.
        groups: groups of participants, all of them first.
        out: folder.

    Returns:
        The files.

    Raises:
        DataError: when a file cannot be written.
    """
    everyone, *others = groups
    tables = {TABLE: _table(found, groups), PEOPLE: _people(found, others)}
    pictures = {PICTURE: bland_altman_figure(found, everyone, [one for one in others if one.by == others[0].by])}
    if found.scores is not None:
        tables |= {CONFUSION: _confusion(found, groups), SCORES: found.scores.reset_index()}
        title = f"windows of {len(found.counts)} participants"
        pictures[CONFUSION_PICTURE] = confusion_figure(counts(found, everyone), found.class_names, title)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            write_csv(table, out / name, "%.6g")
        for name, figure in pictures.items():
            (out / name).write_bytes(small_png(figure))
        (out / REPORT).write_text(_markdown(found, groups), encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write to {out} ({error.strerror}). Give another --out") from error
    return [out / name for name in FILES if name in (*tables, *pictures, REPORT)]


def counts(found: LabelComparison, group: Group) -> NDArray[np.int64]:
    """Windows of a group of participants by true class (rows) and predicted class (columns)."""
    size = len(found.class_names)
    mine = [found.counts[name] for name in group.participants if name in found.counts]
    return np.sum(mine, axis=0) if mine else np.zeros((size, size), np.int64)


def score_texts(found: LabelComparison, group: Group) -> dict[str, str]:
    """Means over a group of participants of scores over windows, with intervals."""
    assert found.scores is not None
    mine = found.scores[found.scores.index.isin(group.participants)]
    return {name: str(interval(mine[name])) for name in SHOWN_SCORES}


def _table(found: LabelComparison, groups: Sequence[Group]) -> pd.DataFrame:
    rows = []
    for group in groups:
        for name, one in by_class(found, group).items():
            row: dict[str, Any] = {"by": group.by, "group": group.name, "class": name, "participants": one.participants}
            row |= {"predicted_minutes": one.predicted, "labelled_minutes": one.labelled}
            row |= _columns("bias", one.bias) | {"sd_of_differences": one.sd}
            row |= _columns("lower_limit", one.lower) | _columns("upper_limit", one.upper)
            row |= _columns("pearson_r", one.correlation) | _columns("lin_ccc", one.concordance)
            rows.append(row)
    return pd.DataFrame(rows)


def _columns(name: str, one: Estimate) -> dict[str, float]:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def _people(found: LabelComparison, groups: Sequence[Group]) -> pd.DataFrame:
    """Minutes of each participant and class, with the participant's groups."""
    table = found.minutes.rename(columns={"label": "class", "predicted": "predicted_minutes"})
    table = table.rename(columns={"labelled": "labelled_minutes"})
    table["difference"] = table["predicted_minutes"] - table["labelled_minutes"]
    for by in dict.fromkeys(group.by for group in groups):
        names = {person: group.name for group in groups if group.by == by for person in group.participants}
        table[f"by_{by}"] = table["participant"].map(names)
    return table


def _confusion(found: LabelComparison, groups: Sequence[Group]) -> pd.DataFrame:
    rows = []
    for group in groups:
        for (true, predicted), number in np.ndenumerate(counts(found, group)):
            names = (found.class_names[true], found.class_names[predicted])
            rows.append((group.by, group.name, *names, int(number)))
    return pd.DataFrame(rows, columns=["by", "group", "true", "predicted", "windows"])


def _markdown(found: LabelComparison, groups: Sequence[Group]) -> str:
    people = len(found.participants)
    lines = ["# Agreement of predictions with labels", ""]
    lines += [f"{people} participant{'s' * (people != 1)}, {found.unit}. {EXPLANATION} {TOO_FEW}", ""]
    for group in groups:
        rows = [agreement_cells(name, one) for name, one in by_class(found, group).items()]
        lines += [f"## {group.title}", "", *_markdown_table(HEADER, rows), ""]
        if found.scores is not None:
            scores = score_texts(found, group)
            text = ", ".join(f"{name} {score}" for name, score in scores.items())
            lines += [f"Means over participants of scores over windows: {text}.", ""]
            table = counts(found, group)
            cells = [[name, *map(str, table[i].tolist())] for i, name in enumerate(found.class_names)]
            lines += ["Windows by true class (rows) and predicted class:", ""]
            lines += [*_markdown_table(("true", *found.class_names), cells), ""]
    lines += [f"![Bland-Altman]({PICTURE})", ""]
    if found.notes:
        lines += ["## Left out, and other notes", "", *(f"- {printable(_capital(note))}." for note in found.notes), ""]
    return "\n".join(lines)


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(printable(cell).replace("|", r"\|") for cell in line) + " |" for line in lines]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
