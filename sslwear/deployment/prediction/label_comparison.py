"""Predictions beside labels: minutes of each participant and class, and windows by true and predicted class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sslwear.data.identity import participant_key, participants_of_recordings, recording_key
from sslwear.data.tables.annotations import (
    Interval,
    IntervalIndex,
    check_overlaps,
    declared_participants,
    read_labels,
    read_participants,
)
from sslwear.data.tables.labelled_minutes import LabelledMinutes, has_intervals, read_minutes
from sslwear.deployment.prediction.predicted_folder import (
    PredictedRecording,
    PredictedWindows,
    minutes_by_day,
    overlapping,
    read_predictions,
)
from sslwear.errors import DataError
from sslwear.evaluation.agreement import LABEL, LABELLED, PARTICIPANT, PREDICTED, LabelComparison
from sslwear.training.metrics import classification_scores, confusion
from sslwear.utils.words import count

Key = tuple[str, np.datetime64 | None]
"""Participant and day."""


def compare(predictions: Path, labels: Path, participants: Path | None = None) -> LabelComparison:
    """Compare predictions with labels.

    Args:
        predictions: output folder of ``sslwear predict``.
        labels: a CSV file of labelled intervals (see `read_labels`) or labelled minutes (see `read_minutes`).
        participants: a CSV file with the participant of each recording, or None for those that were declared when the
            recordings were labelled, and for the names of the others.

    Raises:
        DataError: when a file cannot be used, or no participant is in both.
    """
    recordings = read_predictions(predictions)
    intervals = read_labels(labels) if has_intervals(labels) else None
    pairs = [] if participants is None else read_participants(participants)
    if not pairs and intervals is not None:
        pairs = [(one.recording, one.participant) for one in intervals if one.recording]
    declared = {recording_key(one.name): one.participant for one in recordings if one.participant is not None}
    declared |= declared_participants(labels if participants is None else participants, pairs)
    people = participants_of_recordings([one.name for one in recordings], declared)
    if intervals is None:
        found = _by_minutes(labels, recordings, people, read_minutes(labels))
    else:
        found = _by_intervals(labels, recordings, people, intervals)
    return found.with_notes(_about_models(recordings))


def _by_minutes(
    file: Path,
    recordings: Sequence[PredictedRecording],
    people: Mapping[str, str],
    labels: Sequence[LabelledMinutes],
) -> LabelComparison:
    names = _names(people.values(), [one.participant for one in labels])
    by_day = labels[0].day is not None
    mine = _predicted(recordings, people, by_day)
    theirs: dict[Key, dict[str, float]] = defaultdict(dict)
    for one in labels:
        theirs[names[participant_key(one.participant)], one.day][one.label] = one.minutes
    labelled = dict.fromkeys(one.label for one in labels)
    classes = [name for name in recordings[0].class_names if name in labelled]
    if not classes:
        had = ", ".join(recordings[0].class_names)
        raise DataError(f"{file} and the predictions have no class in common. The predictions have {had}")
    both = [key for key in mine if key in theirs]
    if not both:
        raise DataError(_nobody(file, people.values(), "and a day in common" if by_day else "in common"))
    notes = _about_people([person for person, _ in mine], [person for person, _ in theirs])
    notes += [*_about_days(mine, theirs), *_about_classes(recordings[0].class_names, labelled, "are not compared")]
    rows = [
        (person, name, mine[person, day][name], theirs[person, day].get(name, 0.0))
        for person, day in both
        for name in classes
    ]
    table = pd.DataFrame(rows, columns=[PARTICIPANT, LABEL, PREDICTED, LABELLED])
    if absent := sum(name not in theirs[key] for key in both for name in classes):
        notes.append(
            f"{file.name} has no line for a class of a participant {count(absent, 'time')}, taken as 0 minutes"
        )
    if unknown := int(table[LABELLED].isna().sum()):
        notes.append(f"{count(unknown, 'empty cell')} of {file.name} left out")
    table = table.dropna().groupby([PARTICIPANT, LABEL], sort=False)[[PREDICTED, LABELLED]].mean().reset_index()
    unit = "minutes a day" if by_day else "minutes"
    return LabelComparison(tuple(classes), table.sort_values(PARTICIPANT, kind="stable"), unit, notes=tuple(notes))


def _predicted(
    recordings: Sequence[PredictedRecording], people: Mapping[str, str], by_day: bool
) -> dict[Key, dict[str, float]]:
    """Predicted minutes of each class, of each participant and day; the day is None where days do not count."""
    found: dict[Key, dict[str, float]] = {}
    for person, mine in _by_person(recordings, people).items():
        for day, values in minutes_by_day(mine):
            total = found.setdefault((person, day if by_day else None), {})
            for name, value in zip(mine[0].class_names, values.tolist(), strict=True):
                total[name] = total.get(name, 0.0) + value
    return found


def _by_person(
    recordings: Sequence[PredictedRecording], people: Mapping[str, str]
) -> dict[str, list[PredictedRecording]]:
    found: dict[str, list[PredictedRecording]] = defaultdict(list)
    for recording in recordings:
        found[people[recording.name]].append(recording)
    return found


def _by_intervals(
    file: Path, recordings: Sequence[PredictedRecording], people: Mapping[str, str], intervals: Sequence[Interval]
) -> LabelComparison:
    names = list(dict.fromkeys(one.label for one in intervals if one.label))
    classes = [*recordings[0].class_names, *(name for name in names if name not in recordings[0].class_names)]
    found: dict[str, list[_Labelled]] = defaultdict(list)
    unused, index, length_s = set(range(len(intervals))), IntervalIndex(intervals), dict[int, float]()
    for recording in recordings:
        person = people[recording.name]
        mine = index.of(recording.name, person)
        unused -= set(mine)
        check_overlaps(file, [intervals[i] for i in mine])
        if used := [i for i in mine if intervals[i].label]:
            labelled = _on_clock([intervals[i] for i in used], recording)
            length_s |= {i: _seconds(one) for i, one in zip(used, labelled, strict=True)}
            windows = recording.windows()
            truth = true_classes(windows, labelled, classes)
            known = (windows.codes >= 0) & (truth >= 0)
            found[person].append(_Labelled(truth[known], windows.codes[known], windows.length_s))
    compared = {person: parts for person, parts in sorted(found.items()) if any(len(part.truth) for part in parts)}
    if not compared:
        raise DataError(_nobody(file, people.values(), "and a labelled window in common"))
    notes = _about_people(people.values(), [*found, *(intervals[i].participant for i in sorted(unused))])
    if without := [person for person in found if person not in compared]:
        notes.append(
            f"{count(len(without), 'participant')} with labels and no worn window in them: {', '.join(without)}"
        )
    if lacking := dict.fromkeys(intervals[i].recording for i in sorted(unused) if intervals[i].recording):
        notes.append(f"{count(len(lacking), 'recording')} with labels and no predictions: {', '.join(lacking)}")
    if unlabelled := sum(not one.label for one in intervals):
        notes.append(f"{count(unlabelled, 'line')} of {file.name} without a label left out")
    labelled_s = sum(length_s.values())
    compared_s = sum(len(part.truth) * part.length_s for parts in compared.values() for part in parts)
    notes.append(
        f"{compared_s / 60:.1f} of {labelled_s / 60:.1f} labelled minutes are compared; the others were not worn, have "
        "no data, or are in windows of which no class has more than half"
    )
    by_person = _by_person(recordings, people)
    if twice := [person for person in compared if overlapping(by_person[person])]:
        notes.append(f"windows of recordings that overlap are all compared, of {', '.join(twice)}")
    notes += _about_classes(recordings[0].class_names, names, "are compared all the same")
    return _of_windows(compared, classes, notes)


def _on_clock(intervals: Sequence[Interval], recording: PredictedRecording) -> list[Interval]:
    """Intervals by the clock on the device, on the clock of the recording's windows."""
    if recording.clock is None:
        return list(intervals)
    shown = np.array([[one.start, one.end] for one in intervals]).astype("datetime64[ns]").view(np.int64)
    moments = recording.clock.instants_on_device(shown.ravel()).view("datetime64[ns]").reshape(-1, 2)
    return [replace(one, start=start, end=end) for one, (start, end) in zip(intervals, moments, strict=True)]


def _seconds(interval: Interval) -> float:
    return float((interval.end - interval.start) / np.timedelta64(1, "ns")) / 1e9


@dataclass(frozen=True)
class _Labelled:
    """Windows of a recording that were worn and have a label: true and predicted class indices (N,)."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    length_s: float

    def minutes(self, codes: NDArray[np.int64], classes: int) -> NDArray[np.floating]:
        """Minutes of each class (classes,)."""
        return np.bincount(codes, minlength=classes) * self.length_s / 60


def _of_windows(
    found: Mapping[str, Sequence[_Labelled]], classes: Sequence[str], notes: Sequence[str]
) -> LabelComparison:
    rows, counts, scores = [], {}, {}
    for person, parts in found.items():
        truth = np.concatenate([part.truth for part in parts])
        predicted = np.concatenate([part.predicted for part in parts])
        counts[person] = confusion(truth, predicted, len(classes))
        scores[person] = {"windows": len(truth), **classification_scores(truth, predicted, len(classes))}
        mine = sum(part.minutes(part.predicted, len(classes)) for part in parts)
        theirs = sum(part.minutes(part.truth, len(classes)) for part in parts)
        rows += [(person, *row) for row in zip(classes, np.asarray(mine), np.asarray(theirs), strict=True)]
    table = pd.DataFrame(rows, columns=[PARTICIPANT, LABEL, PREDICTED, LABELLED])
    by_person = pd.DataFrame.from_dict(scores, orient="index").rename_axis(PARTICIPANT)
    return LabelComparison(tuple(classes), table, "minutes of the labelled time", counts, by_person, tuple(notes))


def true_classes(
    windows: PredictedWindows, intervals: Sequence[Interval], class_names: Sequence[str]
) -> NDArray[np.int64]:
    """Class with which more than half of each window is labelled.

    Args:
        windows: windows of a recording.
        intervals: its labelled intervals, which do not overlap, in order of time.
        class_names: names of the classes.

    Returns:
        Index of the class of each window (N,); -1 where there is none.
    """
    begin = windows.start.astype("datetime64[ns]").astype(np.int64)
    length = round(windows.length_s * 1e9)
    truth, most = np.full(len(begin), -1), np.full(len(begin), length / 2)
    for code, name in enumerate(class_names):
        mine = [one for one in intervals if one.label == name]
        if not mine:
            continue
        starts, ends = (
            np.array([getattr(one, side) for one in mine]).astype("datetime64[ns]").astype(np.int64)
            for side in ("start", "end")
        )
        covered = _before(begin + length, starts, ends) - _before(begin, starts, ends)
        truth[covered > most] = code
    return truth


def _before(time: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labelled nanoseconds before each of some times, of intervals in order of time."""
    total = np.concatenate([[0], np.cumsum(ends - starts)])
    begun = np.searchsorted(starts, time, side="right")
    over = np.maximum(ends[np.maximum(begun - 1, 0)] - time, 0)
    found: NDArray[np.int64] = total[begun] - np.where(begun > 0, over, 0)
    return found


def _names(predicted: Iterable[str], labelled: Iterable[str]) -> dict[str, str]:
    """One name for each participant, by key: that of the predictions, where there are any."""
    found: dict[str, str] = {}
    for name in (*predicted, *labelled):
        found.setdefault(participant_key(name), name)
    return found


def _about_people(predicted: Iterable[str], labelled: Iterable[str]) -> list[str]:
    """Notes about participants on one side only; all of them are named."""
    left, right = ({participant_key(name): name for name in side} for side in (predicted, labelled))
    notes = []
    for mine, other, text in ((left, right, "predictions and no labels"), (right, left, "labels and no predictions")):
        if only := sorted(name for key, name in mine.items() if key not in other):
            notes.append(f"{count(len(only), 'participant')} with {text}: {', '.join(only)}")
    return notes


def _about_days(predicted: Collection[Key], labelled: Collection[Key]) -> list[str]:
    """Notes about days on one side only, of participants on both."""
    shared = {person for person, _ in predicted} & {person for person, _ in labelled}
    notes = []
    for mine, other, text in ((predicted, labelled, "no labels"), (labelled, predicted, "no predictions")):
        people = [person for person, day in mine if person in shared and (person, day) not in other]
        if people:
            each = ", ".join(f"{person} ({people.count(person)})" for person in dict.fromkeys(people))
            notes.append(f"days with {text} left out: {each}")
    return notes


def _about_models(recordings: Sequence[PredictedRecording]) -> list[str]:
    known = [one for one in recordings if one.made_by is not None]
    others = [one.name for one in known if one.made_by != known[0].made_by]
    if not others:
        return []
    return [
        f"{count(len(others), 'recording')}, such as {others[0]}, labelled with another model, other options or "
        f"another version of sslwear than {known[0].name}; the agreement is that of all of them"
    ]


def _about_classes(predicted: Collection[str], labelled: Collection[str], text: str) -> list[str]:
    names = list(labelled)
    only_labels = [name for name in names if name not in predicted]
    only_model = [name for name in predicted if name not in names]
    notes = []
    if only_labels:
        notes.append(f"classes of the labels that the model does not have, which {text}: {', '.join(only_labels)}")
    if only_model:
        notes.append(f"classes of the model that the labels do not have, which {text}: {', '.join(only_model)}")
    return notes


def _nobody(file: Path, people: Iterable[str], more: str) -> str:
    names = list(dict.fromkeys(people))
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = f"a participant {more}".strip()
    return (
        f"{file} and the predictions do not have {what}. The predictions are of {some}; --participants TABLE gives the "
        "participant of each recording"
    )
