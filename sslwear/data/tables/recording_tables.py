"""Participant and labelled intervals of each recording of an import, from its tables and the names of its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sslwear.data.identity import participants_of_recordings, recording_key, similar
from sslwear.data.tables.annotations import (
    Interval,
    IntervalIndex,
    check_overlaps,
    declared_participants,
    read_labels,
    read_participants,
)
from sslwear.errors import DataError
from sslwear.utils.words import count

SHOWN_NAMES = 5
DECLARE = "with --participants, a CSV file with the columns recording,participant"


@dataclass(frozen=True)
class RecordingTables:
    """Participant and labelled intervals of each recording.

    Attributes:
        participants: name of the participant of each recording.
        labels: labelled intervals of each recording in order of time; None for an import without labels.
        warnings: what may be wrong with the participants and the labels, one sentence each.
        declared: participant that a table declares, of the recordings that have one.
    """

    participants: Mapping[str, str]
    labels: Mapping[str, Sequence[Interval]] | None
    warnings: tuple[str, ...]
    declared: Mapping[str, str] = field(default_factory=dict)


def read_tables(
    recordings: Collection[str], labels: Path | None, participants: Path | None, before: Mapping[str, str] | None = None
) -> RecordingTables:
    """Read the tables of an import.

    Args:
        recordings: names of the recordings.
        labels: a CSV file of labelled intervals, see `read_labels`; or None.
        participants: a CSV file of recordings and their participants, see `read_participants`; or None.
        before: participants of recordings that earlier tables declared; the table counts where it has a line.

    Raises:
        DataError: when a table cannot be used, or no recording has a label.
    """
    intervals = [] if labels is None else read_labels(labels)
    pairs = [(interval.recording, interval.participant) for interval in intervals if interval.recording]
    table = labels if pairs else None
    if participants is not None:
        pairs, table = read_participants(participants), participants
    declared = {recording_key(name): person for name, person in (before or {}).items()}
    declared |= {} if table is None else declared_participants(table, pairs)
    people = participants_of_recordings(recordings, declared)
    warnings = _about_names(people, declared)
    if participants is not None:
        warnings += _about_declared(participants, recordings, pairs, declared)
    mine = {name: declared[key] for name in recordings if (key := recording_key(name)) in declared}
    if labels is None:
        return RecordingTables(people, None, tuple(warnings), mine)
    index = IntervalIndex(intervals)
    places = {name: index.of(name, person) for name, person in people.items()}
    found = _labels_of(labels, places, intervals)
    unused = set(range(len(intervals))).difference(*places.values())
    about = _about_labels(labels, intervals, [intervals[i] for i in sorted(unused)], found)
    return RecordingTables(people, found, (*warnings, *about), mine)


def _labels_of(
    file: Path, places: Mapping[str, Sequence[int]], intervals: Sequence[Interval]
) -> dict[str, list[Interval]]:
    """Labelled intervals of each recording, from the indices of its intervals.

    Raises:
        DataError: when intervals of a recording overlap, or no recording has a label.
    """
    found = {name: [intervals[i] for i in mine] for name, mine in places.items()}
    for mine in found.values():
        check_overlaps(file, mine)
    labelled = {name: [interval for interval in mine if interval.label] for name, mine in found.items()}
    if not any(labelled.values()):
        raise DataError(
            f"{file}: no file has the name of a participant with a label in it, such as "
            f"{intervals[0].participant!r}; the names of the files without their endings are {_some(places)}"
        )
    return labelled


def _about_names(people: Mapping[str, str], declared: Mapping[str, str]) -> list[str]:
    """Warnings about participants that were taken from the names of recordings."""
    guessed = defaultdict(list)
    for name, person in people.items():
        if recording_key(name) not in declared:
            guessed[person].append(name)
    joined = {person: names for person, names in guessed.items() if len(names) > 1}
    found = []
    if joined:
        person, names = next(iter(joined.items()))
        others = f", and so on for {len(joined) - 1} more" if len(joined) > 1 else ""
        found.append(
            f"{_some(names)} are taken as recordings of one participant, {person}{others}. Declare others {DECLARE}"
        )
    if alike := similar(guessed):
        found.append(
            f"{_some(alike)} may be recordings of one person, who would be on several sides of a split. If so, declare "
            f"it {DECLARE}"
        )
    return found


def _about_declared(
    file: Path, recordings: Iterable[str], pairs: Sequence[tuple[str, str]], declared: Collection[str]
) -> list[str]:
    """Warnings about recordings without a declared participant, and lines of the table without a recording."""
    mine = {recording_key(name) for name in recordings}
    absent = [name for name, _ in pairs if recording_key(name) not in mine]
    guessed = [name for name in recordings if recording_key(name) not in declared]
    found = [f"{file} has recordings without a file: {_some(absent)}"] if absent else []
    if guessed:
        found.append(f"{file} has no line for {_some(guessed)}, whose participants were taken from the names")
    return found


def _about_labels(
    file: Path, intervals: Sequence[Interval], unused: Sequence[Interval], labels: Mapping[str, Sequence[Interval]]
) -> list[str]:
    """Warnings about lines without a label or a recording, and recordings without a label."""
    missing = [interval for interval in intervals if not interval.label]
    unlabelled = [name for name, mine in labels.items() if not mine]
    found = []
    if missing:
        found.append(
            f"{file}: {len(missing)} of {len(intervals)} lines have no label, first line {missing[0].line}. Their "
            "windows are left out"
        )
    if unused:
        names = dict.fromkeys(interval.recording or interval.participant for interval in unused)
        found.append(f"{file}: {count(len(unused), 'line')} with names that no file has: {_some(names)}")
    if unlabelled:
        found.append(f"{file} has no label for {_some(unlabelled)}. Windows of these recordings are left out")
    return found


def _some(names: Iterable[str]) -> str:
    """The first names, and the number of the others."""
    shown = list(names)
    more = f" and {len(shown) - SHOWN_NAMES} more" if len(shown) > SHOWN_NAMES else ""
    return ", ".join(shown[:SHOWN_NAMES]) + more
