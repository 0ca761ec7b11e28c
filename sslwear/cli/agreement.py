"""The ``sslwear agreement`` command: compare predictions with labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.errors import DataError, SettingsError

if TYPE_CHECKING:
    from sslwear.evaluation.agreement import Group


def agreement(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="The --out folder of sslwear predict.")],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="A CSV file: participant,label,minutes (also with day), or participant,start,end,label.",
        ),
    ],
    participants: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="A CSV file: recording,participant.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="A CSV file: participant and columns for --by.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="COLUMN", help="Also by the values of a column; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write tables and figures here.")] = None,
) -> None:
    """Compare predicted minutes with labels, person by person: bias, limits of agreement, correlation, confusion."""
    with user_errors():
        from sslwear.cli.tables import agreement_table
        from sslwear.deployment.prediction.label_comparison import compare
        from sslwear.evaluation.agreement import by_class
        from sslwear.evaluation.intervals import FEWEST, TOO_FEW
        from sslwear.reports.agreement_report import score_texts, write_agreement

        _check(people, by, out, [labels, *filter(None, (participants, people))])
        found = compare(predictions, labels, participants)
        groups, notes = _groups(found.participants, people, by or [])
        found = found.with_notes(notes)
        console = standard_output()
        for group in groups:
            print_line(console, f"{group.title}, {found.unit}:")
            console.print(agreement_table(by_class(found, group)))
            if found.scores is not None:
                scores = ", ".join(f"{name} {score}" for name, score in score_texts(found, group).items())
                print_line(console, f"Means over participants of scores over windows: {scores}.")
            print_line(console, "")
        if any(len(group.participants) < FEWEST for group in groups):
            print_line(console, TOO_FEW)
        for note in found.notes:
            print_warning(note)
        if out is not None:
            files = ", ".join(path.name for path in write_agreement(found, groups, out))
            print_line(console, f"Files in {out}: {files}.")


def _check(people: Path | None, by: Sequence[str] | None, out: Path | None, tables: Sequence[Path]) -> None:
    """Refuse options that do nothing, and an output file that would replace a table.

    Raises:
        SettingsError: when only one of --people and --by is given.
        DataError: when a table would be replaced.
    """
    from sslwear.reports.agreement_report import FILES

    if by and people is None:
        raise SettingsError("--by needs --people TABLE, a CSV file with the column participant and those of --by")
    if people is not None and not by:
        raise SettingsError("--people needs --by COLUMN, such as --by sex")
    for path in tables if out is not None else ():
        if path.name in FILES and os.path.realpath(path.parent) == os.path.realpath(out or ""):
            raise DataError(f"{path} would be overwritten. Give another --out")
    for name in FILES if out is not None else ():  # a recording of that name was labelled in the same folder
        if Path(out or "", f"{Path(name).stem}.days.csv").exists():
            raise DataError(f"{Path(out or '', name)} is the table of a recording. Give another --out")


def _groups(participants: Sequence[str], people: Path | None, by: Sequence[str]) -> tuple[list[Group], list[str]]:
    """All participants, and those with each value of each column; and notes about participants in no group."""
    from sslwear.data.identity import participant_key
    from sslwear.data.sources.raw import natural
    from sslwear.data.tables.people_table import read_people
    from sslwear.evaluation.agreement import ALL, Group

    groups, notes = [Group("", ALL, tuple(participants))], list[str]()
    if people is None:
        return groups, notes
    for column, values in read_people(people, list(dict.fromkeys(by))).items():
        mine = {name: values.get(participant_key(name)) for name in participants}
        for value in sorted({one for one in mine.values() if one is not None}, key=natural):
            groups.append(Group(column, value, tuple(name for name, one in mine.items() if one == value)))
        if absent := [name for name, one in mine.items() if one is None]:
            notes.append(f"{people.name} has no {column} for {', '.join(absent)}")
    return groups, notes
