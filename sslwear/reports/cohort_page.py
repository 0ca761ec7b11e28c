"""The page of all labelled people: one file of HTML that needs no network and no scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from sslwear.evaluation.counting import CountingRule
from sslwear.evaluation.people import Person
from sslwear.reports.cohort_figures import MOST_ROWS, distributions, usual_days
from sslwear.reports.html_parts import figure, number, page, table, text
from sslwear.reports.inline_svg import inline_svg
from sslwear.utils.words import count

MOST_LISTED = 2000
"""Maximum number of people in the table."""
FLAGS = {
    "flag_not_calibrated": "not calibrated",
    "flag_calibration_error": "calibration error",
    "flag_clipped": "clipped",
    "flag_unlike_training_data": "unlike training data",
    "flag_clock_change": "clock change",
    "flag_not_imputed": "not imputed",
    "flag_overlap": "recordings overlap",
    "flag_recordings_left_out": "recordings left out",
}


def cohort_page(people: Sequence[Person], class_names: Sequence[str], rule: CountingRule, about: Sequence[str]) -> str:
    """The page as HTML; all names and sentences are shown as plain text.

    Args:
        people: all people, also those who do not count.
        class_names: names of the classes.
        rule: which days and people count.
        about: lines about the model and how labels were made.
    """
    counting = [one for one in people if one.row["counts"]]
    labelled = [one for one in people if one.minutes is not None]
    parts = [_verdict(people, counting, rule)]
    if counting:
        picture = inline_svg(distributions(counting, class_names), "distributions")
        caption = f"Mean minutes a day over the days that count, of {_people(len(counting))}. The line is the median."
        parts.append(figure("Minutes a day", picture, caption))
    if labelled:
        picture = inline_svg(usual_days(labelled, class_names), "usual-days")
        more = f" The first {MOST_ROWS} of {len(labelled)} people are shown." if len(labelled) > MOST_ROWS else ""
        caption = "The class of most of each quarter of an hour, over all days. White: never worn at that time." + more
        parts.append(figure("The usual day of each person", picture, caption))
    parts += [_left_out(people), _table(people, class_names)]
    parts += ["<h2>How it was made</h2>", *(f"<p>{text(line)}</p>" for line in about)]
    recordings = sum(len(one.recordings) for one in people)
    return page(_people(len(people)), f"{count(recordings, 'recording')} · {', '.join(class_names)}", parts)


def _verdict(people: Sequence[Person], counting: Sequence[Person], rule: CountingRule) -> str:
    first = f"{len(counting)} of {_people(len(people))} {'counts' if len(counting) == 1 else 'count'}."
    needs = [f"{count(rule.min_days, 'day')} with {rule.min_wear_h:g} h of wear"]
    needs += [f"{count(rule.min_weekdays, 'weekday')} among them"] if rule.min_weekdays else []
    needs += [f"{count(rule.min_weekend_days, 'weekend day')} among them"] if rule.min_weekend_days else []
    needs += ["wear in each hour of such a day"] if rule.cover == "day" else []
    needs += ["wear at each hour of the clock"] if rule.cover == "person" else []
    second = f"A person counts with {', '.join(needs)}. Nobody is left out of the tables: they have the reason instead."
    return f'<div class="verdict"><p>{text(first)}</p><p>{text(second)}</p></div>'


def _left_out(people: Sequence[Person]) -> str:
    """Who does not count, by reason, and recordings that were not labelled."""
    lost = [one for one in people if not one.row["counts"]]
    files = [(one.name, recording) for one in people for recording in one.recordings if recording.reason]
    if not lost and not files:
        return ""
    reasons = Counter(reason for one in lost for reason in one.row["why_not"].split("; ") if one.minutes is not None)
    reasons.update(recording.reason for _, recording in files)
    summary = table(["reason", "number"], [("", [text(why), str(n)]) for why, n in reasons.most_common()], words=(0,))
    parts = ["<h2>Who was left out, and why</h2>", summary]
    if files:
        rows = [("", [text(name), text(one.file), _wrapped(one.error)]) for name, one in files]
        parts.append(table(["person", "file", "why it was not labelled"], rows, words=(0, 1, 2)))
    return "\n".join(parts)


def _table(people: Sequence[Person], class_names: Sequence[str]) -> str:
    heads = ["person", "recordings", "days", *class_names, "worn", "ENMO, mg", "remarks"]
    rows = []
    for one in people[:MOST_LISTED]:
        row = one.row
        days = f"{row['counted_days']} of {row['days']}" if one.minutes is not None else "-"
        cells = [text(one.name), _links(one), days, *(number(row.get(f"minutes_{name}")) for name in class_names)]
        cells += [number(row.get("wear_minutes")), number(row.get("enmo_mg"), 1), _wrapped(_remarks(row))]
        rows.append(("" if row["counts"] else "left", cells))
    more = f" The first {MOST_LISTED} of {len(people)} are listed." if len(people) > MOST_LISTED else ""
    note = f"Mean minutes a day over the days that count. Grey: people who do not count.{more}"
    body = table(heads, rows, words=(0, 1, len(heads) - 1))
    return f'<h2>People</h2>\n<p class="note">{text(note)}</p>\n{body}'


def _remarks(row: Mapping[str, object]) -> str:
    why = [str(row["why_not"])] if row["why_not"] else []
    return "; ".join([*why, *(words for flag, words in FLAGS.items() if row.get(flag))])


def _links(one: Person) -> str:
    """Links to the pages of the labelled recordings."""
    return ", ".join(
        f'<a href="{escape(quote(recording.name))}.html">{text(recording.name)}</a>'
        if recording.minutes is not None
        else text(recording.name)
        for recording in one.recordings
    )


def _wrapped(words: str) -> str:
    """A cell whose words may be on several lines."""
    return f'<div class="why">{text(words)}</div>'


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"
