"""The page of a study: one file of HTML that needs no network and no scripts, and can be printed.

It tells what was selected and how sure that is, then shows the evidence, and all trials at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sslwear.data.cuts import duration
from sslwear.evaluation.intervals import LEVEL, Interval
from sslwear.reports.html_parts import figure, page, text, warning_box
from sslwear.reports.inline_svg import inline_svg
from sslwear.reports.study_pictures import (
    CURVES,
    GROUPS,
    IMPORTANCES,
    MOST_NAMED,
    PARETO,
    PEOPLE,
    TRIALS,
    study_pictures,
)
from sslwear.reports.study_report import FINISHED, GROUPED, PRUNED, StudyReport, TrialResult, value_of
from sslwear.reports.study_text import (
    CANNOT_BE_TOLD,
    evaluations_note,
    limited,
    outcomes_text,
    paper,
    people,
    score_rows,
    verdict,
)
from sslwear.reports.trial_figures import MOST_DRAWN, shown_curves
from sslwear.utils.console import printable
from sslwear.utils.words import count, shown

ALIKE = "≈ best"
RUN_LETTERS = 8
"""Number of letters of a run's id, by which commands find it."""
MOST_LISTED = 1000
"""Maximum number of trials in the table, the best ones."""
MEASURED = ("trainable_parameters", "windows_per_second")
"""Second objectives that each table of trials has columns for."""
HEADINGS = {
    TRIALS: "All trials",
    GROUPS: "What was tuned, and after which pretext task",
    PEOPLE: "Participants",
    CURVES: "Learning curves",
    IMPORTANCES: "Importance of the searched settings",
    PARETO: "Two objectives",
}


def study_page(report: StudyReport) -> str:
    """The page of a study as HTML; all names and sentences of the report are shown as plain text."""
    titles = {f"#trial-{one.number}": _title(one) for one in report.trials}
    parts = [_verdict(report), warning_box(report.warning), _scores(report)]
    for name, drawn in study_pictures(report).items():
        picture = inline_svg(drawn, name, titles)
        more = _pareto_table(report) if name == PARETO else ""
        parts.append(figure(HEADINGS[name], picture, " ".join(_captions(report, name))) + more)
    parts += [_trials(report), _methods(report), _paper(report)]
    trials = f"{count(len(report.trials), 'trial')}" + (f" ({outcomes_text(report)})" if report.trials else "")
    about = f"{report.data} · {report.encoder}, {report.weights} · judged by {report.score} · {trials}"
    return page(f"Study {report.name}", about, parts, style="")


def _verdict(report: StudyReport) -> str:
    sentences = verdict(report)
    first, rest = (sentences[:2], sentences[2:]) if report.winner is not None else (sentences[:1], sentences[1:])
    told = "".join(f"<p>{text(' '.join(one))}</p>" for one in (first, rest) if one)
    return f'<div class="verdict">{told}</div>'


def _scores(report: StudyReport) -> str:
    """The table of scores: the winner, the file's own settings, and the baseline."""
    rows = score_rows(report)
    if not rows:
        return ""
    tested = any(row.rated.test is not None for row in rows)
    known = any("[" in limited(found) for row in rows for found in (row.rated.estimate, row.rated.test))
    lines = []
    for row in rows:
        selected = row.rated.trial is not None and row.rated.trial == report.winner
        marked = row.alike and not selected
        mark = f'<small class="mark">{CANNOT_BE_TOLD}</small>' if marked else ""
        kind = "selected" if selected else "alike" if marked else "plain"
        cells = [
            f"<td>{text(row.rated.name)}<small>{text(row.role)}</small>{mark}</td>",
            _interval(row.rated.estimate),
        ]
        lines.append(f'<tr class="{kind}">{"".join([*cells, *([_interval(row.rated.test)] if tested else [])])}</tr>')
    heads = ["", "estimate from the search", *(["test score"] if tested else [])]
    what = (
        f"Mean {report.score} over participants"
        f"{f' [{100 * LEVEL:.0f} % interval]' * known}. The estimate needs no test participants. "
        + ("The test score is that of a model fitted on all participants that are not test participants. " * tested)
        + report.estimate_note * (report.selected is not None)
    )
    notes = f'<p class="note">{text(what)} {text(evaluations_note(report))}</p>'
    return f'<h2>Scores</h2>\n<div class="wide">{_table(heads, lines)}</div>\n{notes}'


def _interval(found: Interval | None) -> str:
    return f"<td>{limited(found)}<small>{people(found)}</small></td>" if found is not None else "<td>-</td>"


def _captions(report: StudyReport, name: str) -> Iterable[str]:
    """Sentences below a figure: what it shows, and what is left out."""
    if name == TRIALS:
        if not report.pooled:
            yield "The bars are standard errors over participants."
        if len(report.finished) > 1 and not report.pooled:
            yield (
                "Trials are compared on the same participants, so that bars that overlap do not mean that two trials "
                "cannot be told apart."
            )
        if any(one.known for one in report.trials if one.outcome == PRUNED):
            yield "A pruned trial ended early, so that its mean cannot be compared with those of finished trials."
        known = sum(one.known and one.outcome in (FINISHED, PRUNED) for one in report.trials)
        if known > MOST_DRAWN:
            yield f"The best {MOST_DRAWN} of {known} trials are shown."
    elif name == GROUPS:
        yield (
            "Means over the finished trials with the same value. Their other settings differ too, so that a difference "
            "need not be due to this setting alone."
        )
    elif name == PEOPLE:
        yield f"A column is a participant. They are sorted by the score of {score_rows(report)[0].rated.name}."
        names = {one for row in score_rows(report) for one in (*row.rated.scores, *row.rated.test_scores)}
        if len(names) > MOST_NAMED:
            yield "Their names are left out, because there are too many."
    elif name == CURVES:
        curves, known = len(shown_curves(report)), sum(len(one.curve) > 1 for one in report.candidates)
        what = f"The {report.score} over all windows" if report.pooled else f"Mean {report.score} over participants"
        yield f"{what} after each epoch" + (f", of the trials that {CANNOT_BE_TOLD}." if known > 1 else ".")
        if known > curves:
            yield f"{curves} of {known} such trials are shown: the selected one and the best others."
    elif name == IMPORTANCES:
        yield f"Share of each setting in the variance of {report.score} between trials."
    elif name == PARETO:
        yield "No other trial is better in one objective and not worse in the other than a trial on the Pareto front."


def _pareto_table(report: StudyReport) -> str:
    settings = any(report.named(one) for one in report.trials)
    heads = ["trial", f"{report.score} ± SE", str(report.second), *(["settings"] if settings else [])]
    lines = []
    for one in report.front:
        cells = [str(one.number), one.text(), _quantity(one.second), *([report.named(one, most=4)] if settings else [])]
        lines.append(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in cells)}</tr>")
    return f'<div class="wide">{_table(heads, lines)}</div>'


def _trials(report: StudyReport) -> str:
    """The table of all trials; columns without any value are left out."""
    if not report.trials:
        return ""
    columns = _columns(report)
    lines = []
    for one in report.ranked[:MOST_LISTED]:
        selected = one.number == report.winner
        alike = one.candidate and one.outcome == FINISHED
        kind = "selected" if selected else "alike" if alike else "plain" if one.outcome == FINISHED else "other"
        mark = "selected" if selected else ALIKE if alike else "" if one.outcome == FINISHED else one.outcome
        first = f'<td class="number">{one.number}</td><td class="mark">{text(mark)}</td>'
        cells = "".join(f"<td{' class=number' * right}>{text(values[one.number])}</td>" for _, right, values in columns)
        lines.append(f'<tr id="trial-{one.number}" class="{kind}">{first}{cells}</tr>')
    heads = ["trial", "", *(head for head, _, _ in columns)]
    left = len(report.trials) - MOST_LISTED
    note = f" The last {left} of {len(report.trials)} trials are left out." if left > 0 else ""
    key = f"<b>{ALIKE}</b>: {CANNOT_BE_TOLD}. " * (len(report.candidates) > 1)
    error = "" if report.pooled else "SE: standard error over participants. "
    legend = f"{key}{error}Finished trials are sorted by score; the others follow.{note}"
    numbers = [0, *(place for place, (_, right, _) in enumerate(columns, 2) if right)]
    table = _table(heads, lines, "trials", numbers)
    return f'<h2>Table of trials</h2>\n<p class="note">{legend}</p>\n<div class="wide trials">{table}</div>'


def _columns(report: StudyReport) -> list[tuple[str, bool, dict[int, str]]]:
    """Columns of the table of trials: title, whether they are numbers, and the text of each trial."""
    trials = report.trials
    names = [name for name in GROUPED if name in report.searched or report.varied(name)]
    names += [name for name in report.searched if name not in GROUPED]
    columns: list[tuple[str, bool, list[Any]]] = [
        (
            f"{report.score}{'' if report.pooled else ' ± SE'}",
            True,
            [one.text() if one.known else None for one in trials],
        ),
        ("participants", True, [len(one.participants) or None for one in trials]),
        *((name, _numeric(found := [value_of(one, name) for one in trials]), found) for name in names),
        ("epochs", True, [one.epochs for one in trials]),
        ("time", True, [None if one.seconds is None else duration(one.seconds) for one in trials]),
        ("tuned parameters", True, [_quantity(one.parameters) for one in trials]),
        ("windows/s", True, [_quantity(one.windows_per_second) for one in trials]),
        ("run", False, [None if one.run_id is None else one.run_id[:RUN_LETTERS] for one in trials]),
    ]
    if report.second not in MEASURED:
        columns.insert(-1, (str(report.second), True, [_quantity(one.second) for one in trials]))
    return [
        (title, right, {one.number: _value(value) for one, value in zip(trials, values, strict=True)})
        for title, right, values in columns
        if any(value is not None for value in values)
    ]


def _numeric(values: Sequence[Any]) -> bool:
    """Whether values are numbers, which a table has on the right."""
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)


def _value(value: Any) -> str:
    """A setting as the table has it: fractions with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else shown(value)


def _quantity(value: float | None) -> str | None:
    """A number of things, such as ``10,214``; smaller ones with three digits."""
    if value is None:
        return None
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.3g}"


def _methods(report: StudyReport) -> str:
    lines = [report.judged, *report.notes]
    return "<h2>How trials were judged</h2>\n" + "".join(f"<p>{text(line)}</p>" for line in lines if line)


def _paper(report: StudyReport) -> str:
    lines = "".join(f"<p>{text(line)}</p>" for line in paper(report))
    return f"<h2>In a paper</h2>\n<blockquote>{lines}</blockquote>" if lines else ""


def _title(trial: TrialResult) -> str:
    """Text that a browser shows over a trial of a figure."""
    settings = "".join(f"\n{name}: {shown(value)}" for name, value in trial.searched.items())
    return printable(f"Trial {trial.number}: {trial.text()}{settings}")


def _table(heads: Sequence[str], lines: Iterable[str], kind: str = "", numbers: Iterable[int] = ()) -> str:
    right = set(numbers)
    top = "".join(f"<th{' class=number' * (place in right)}>{text(head)}</th>" for place, head in enumerate(heads))
    return f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>\n' + "\n".join(lines) + "\n</tbody></table>"
