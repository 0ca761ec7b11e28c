"""Output files of all recordings together: people, days and recordings, and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

import sslwear
from sslwear.data.files.quality import Quality
from sslwear.data.sources.raw import natural
from sslwear.deployment.prediction import record as prediction_record
from sslwear.deployment.prediction.batch_prediction import about_labels, output_folder
from sslwear.deployment.prediction.files import COHORT, RECORD, Options, Outcome
from sslwear.encoders.card import Card
from sslwear.errors import DataError
from sslwear.evaluation.minute_table import MinuteTable
from sslwear.evaluation.oxwearables import oxwearables_row
from sslwear.evaluation.people import Person, RecordingSummary, person
from sslwear.reports.cohort_page import cohort_page
from sslwear.reports.recording_page import recording_page
from sslwear.utils.csv_cells import write_csv
from sslwear.utils.words import count


def write_cohort(
    outcomes: Sequence[Outcome],
    participants: Mapping[str, str],
    card: Card,
    model: str,
    version: str,
    options: Options,
) -> list[Person]:
    """Write the tables and the page of all people, one row a person, also of those who do not count.

    Args:
        outcomes: outcomes of the recordings, also of those without labels.
        participants: name of the person of each recording; others are people of their own.
        card: card of the model.
        model: name of the model.
        version: version of the model; empty if it is not registered.
        options: options of the prediction.

    Returns:
        The people, in the natural order of their names.

    Raises:
        DataError: when the folder cannot be written to, or a file of a recording is missing.
    """
    found: dict[str, list[RecordingSummary]] = {}
    for outcome in sorted(outcomes, key=lambda one: natural(one.name)):
        mine = found.setdefault(participants.get(outcome.name, outcome.name), [])
        mine.append(_summary(outcome, card, options))
    about = {
        "model": model,
        "model_version": version,
        "model_data": f"{card.dataset} {card.fingerprint[:12]}",
        "smoothing": _smoothing(card, options),
        "sslwear_version": sslwear.__version__,
        "min_wear_h": options.rule.min_wear_h,
    }
    names = sorted(found, key=natural)
    people = [person(name, found[name], card.class_names, options.rule, about) for name in names]
    lines = [f"Model {' version '.join(filter(None, (model, version)))}, sslwear {sslwear.__version__}."]
    with output_folder(options.out) as place:
        _write(people, card, place, options)
        page = cohort_page(people, card.class_names, options.rule, [*lines, about_labels(card, options)])
        (place / COHORT["page"]).write_text(page, encoding="utf-8")
        (place / COHORT["page"]).replace(options.out / COHORT["page"])
        for outcome in outcomes:
            if outcome.rule is not None and outcome.rule != asdict(options.rule):
                _redraw(outcome, card, place, options)
    return people


def keep_participants(outcomes: Sequence[Outcome], declared: Mapping[str, str], options: Options) -> None:
    """Keep the participants that a table declares, so that later commands without the table know them.

    Args:
        outcomes: outcomes of the recordings.
        declared: declared participants by name of the recording.
        options: options of the prediction.

    Raises:
        DataError: when the folder cannot be written to.
    """
    changed = [one for one in outcomes if not one.error and declared.get(one.name, one.participant) != one.participant]
    if changed:
        with output_folder(options.out) as place:
            for one in changed:
                _amend(one.name, place, options, participant=declared[one.name])


def check_cohort(options: Options) -> None:
    """Refuse to replace files that are not of an earlier prediction.

    Raises:
        DataError: when such a file exists, and may not be replaced.
    """
    if options.overwrite or any(options.out.glob(f"*{RECORD}")):
        return
    for name in COHORT.values():
        if (options.out / name).exists():
            raise DataError(f"{options.out / name} exists already. Give another --out, or replace it with --overwrite")


def earlier_recordings(outcomes: Sequence[Outcome], options: Options) -> tuple[list[Outcome], list[str]]:
    """Recordings that earlier commands labelled with the same model and options, which the tables have too.

    Returns:
        Their outcomes, and the names of those that were labelled otherwise, which the tables do not have.
    """
    mine = {outcome.name for outcome in outcomes}
    made = [prediction_record.read(options.record(one.name)) for one in outcomes if one.rule is not None]
    wanted = [prediction_record.made_by(one[0]) for one in made if one is not None]
    found, others = list[Outcome](), list[str]()
    for path in sorted(options.out.glob(f"*{RECORD}")):
        name, known = path.name.removesuffix(RECORD), prediction_record.read(path)
        if name in mine or known is None or known[1] is None:
            continue
        if prediction_record.made_by(known[0]) not in wanted:
            others.append(name)
        elif all(output.exists() for output in options.outputs(name).values()):
            found.append(Outcome(name, **known[1]))
    return found, others


def _write(people: Sequence[Person], card: Card, place: Path, options: Options) -> None:
    every = [dict(one.row) for one in people]
    columns = max([list(row) for row in every], key=lambda names: len(names))  # a person without labels has few
    rows = pd.DataFrame(every, columns=columns)
    days = [one.days.assign(person=one.name) for one in people if one.days is not None]
    everyday = pd.concat(days, ignore_index=True) if days else pd.DataFrame({"person": []})
    everyday.insert(0, "person", everyday.pop("person"))
    known = [one for each in people for one in each.recordings if one.minutes is not None]
    recordings = pd.DataFrame([oxwearables_row(one, card.class_names) for one in known])
    write_csv(rows, place / COHORT["people"], "%.6g")
    rows.to_parquet(place / COHORT["people, Parquet"], index=False)
    write_csv(everyday, place / COHORT["days"], "%.3f")
    write_csv(recordings, place / COHORT["recordings"], "%.6g")
    for what in ("days", "recordings", "people, Parquet", "people"):
        (place / COHORT[what]).replace(options.out / COHORT[what])


def _summary(outcome: Outcome, card: Card, options: Options) -> RecordingSummary:
    if outcome.quality is None or outcome.span is None:
        reason, error = outcome.reason or "cannot be read", outcome.error or ""
        return RecordingSummary(outcome.name, outcome.file, reason=reason, error=error)
    path = options.outputs(outcome.name)["minutes"]
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read. Repeat the command with --overwrite") from error
    begin, end = outcome.span
    minutes = MinuteTable.from_table(table, card.class_names, options.reading.zone, (begin, end))
    quality = Quality(**outcome.quality)
    return RecordingSummary(outcome.name, outcome.file, minutes, quality, outcome.warning)


def _smoothing(card: Card, options: Options) -> str:
    if options.bout_s is not None:
        return f"bouts of {options.bout_s / 60:g} minutes"
    return "learnt" if card.smoothing is not None and options.learnt else "none"


def _redraw(outcome: Outcome, card: Card, place: Path, options: Options) -> None:
    """Write the page of a recording that was finished with another rule of counted days."""
    one = _summary(outcome, card, options)
    assert one.minutes is not None
    assert one.quality is not None
    note = outcome.note.removesuffix("; finished earlier")
    about = [note, about_labels(card, options)]
    path = options.outputs(outcome.name)["page"]
    page = recording_page(outcome.name, one.minutes, one.quality, options.rule, about, outcome.warning)
    (place / path.name).write_text(page, encoding="utf-8")
    (place / path.name).replace(path)
    _amend(outcome.name, place, options, rule=asdict(options.rule))


def _amend(name: str, place: Path, options: Options, **changed: Any) -> None:
    """Change what the record of a finished recording tells."""
    record = options.record(name)
    known = prediction_record.read(record)
    if known is not None and known[1] is not None:
        prediction_record.write(record, place, known[0], {**known[1], **changed})


def summary(outcomes: Sequence[Outcome], people: Sequence[Person]) -> list[str]:
    """Sentences about how many recordings and people there are, and why others are not."""
    lost = Counter(outcome.reason or "cannot be read" for outcome in outcomes if outcome.error)
    labelled = len(outcomes) - lost.total()
    lines = [f"{labelled} of {count(len(outcomes), 'recording')} labelled{_listed(lost)}."]
    if people:
        counting = sum(bool(one.row["counts"]) for one in people)
        reasons = Counter(
            why for one in people if one.minutes is not None for why in one.row["why_not"].split("; ") if why
        )
        total = "1 person" if len(people) == 1 else f"{len(people)} people"
        lines.append(f"{counting} of {total} {'counts' if counting == 1 else 'count'}{_listed(reasons)}.")
    return lines


def _listed(reasons: Counter[str]) -> str:
    return "".join(f"; {number}: {reason}" for reason, number in reasons.most_common())
