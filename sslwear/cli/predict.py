"""The ``sslwear predict`` command: predict activities in new recordings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sslwear.cli.predict_options import (
    NONWEAR_MINUTES,
    RECORDING_GB,
    STILL_MG,
    Bout,
    ClockKind,
    Columns,
    Cover,
    Device,
    End,
    Folder,
    Format,
    Jobs,
    MinDays,
    MinWear,
    MinWeekdays,
    MinWeekendDays,
    NonwearMinutes,
    NonwearThreshold,
    Overwrite,
    Participants,
    Precision,
    PromotedModel,
    Rate,
    Recordings,
    Smooth,
    Start,
    StartTime,
    TimeFormat,
    Timezone,
    Units,
    computation,
    expanded,
    reading_of,
    rule_of,
)
from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.errors import SettingsError
from sslwear.utils.processes import max_parallel_jobs
from sslwear.utils.words import count

if TYPE_CHECKING:
    from sslwear.deployment.prediction.files import Options, Outcome
    from sslwear.encoders.classifier import Model
    from sslwear.tracking import Store

SHOWN_NAMES = 5


def predict(
    recordings: Recordings,
    model: PromotedModel,
    out: Folder,
    format_: Format = "csv",
    smooth: Smooth = None,
    bout: Bout = None,
    overwrite: Overwrite = False,
    jobs: Jobs = None,
    device: Device = "auto",
    precision: Precision = "auto",
    columns: Columns = None,
    time_format: TimeFormat = None,
    units: Units = None,
    rate: Rate = None,
    start_time: StartTime = None,
    timezone: Timezone = None,
    clock: ClockKind = "fixed",
    start: Start = None,
    end: End = None,
    nonwear_threshold: NonwearThreshold = STILL_MG,
    nonwear_minutes: NonwearMinutes = NONWEAR_MINUTES,
    min_wear: MinWear = "10h",
    cover: Cover = "none",
    min_days: MinDays = 3,
    min_weekdays: MinWeekdays = 0,
    min_weekend_days: MinWeekendDays = 0,
    participants: Participants = None,
) -> None:
    """Predict activities in recordings: windows, bouts, days and a page for each, and a table with one row a person."""
    with user_errors(f"finished recordings are in {out}"):
        from sslwear.deployment.prediction.files import Options
        from sslwear.evaluation.smoothing import BOUT_MINUTES

        where, how = computation(device, precision)
        if bout is not None and not smooth:
            raise SettingsError("--bout needs --smooth. Add --smooth or remove --bout")
        bout_s = 60 * (BOUT_MINUTES if bout is None else bout) if smooth else None
        times, nonwear = (start_time, timezone, clock), (nonwear_threshold, nonwear_minutes)
        reading = reading_of(columns, time_format, units, rate, *times, *nonwear, start, end)
        rule = rule_of(min_wear, cover, min_days, min_weekdays, min_weekend_days)
        options = Options(out, format_, bout_s, str(where), how, overwrite, smooth is None, reading, rule)
        _predict(recordings, participants, model, options, jobs)


def _predict(
    recordings: Sequence[Path], participants: Path | None, model: str, options: Options, jobs: int | None
) -> None:
    """Predict files, and print what was written.

    Args:
        recordings: recordings, folders of them, arrays of windows, and names of sources with included recordings.
        participants: table of the people of recordings.
        model: address of the model.
        options: options of the prediction.
        jobs: number of recordings at a time; by default as many as fit.
    """
    from sslwear.data.devices import recordings_by_name
    from sslwear.data.tables.recording_tables import read_tables
    from sslwear.deployment.prediction.array_prediction import is_array, predict_arrays
    from sslwear.deployment.prediction.batch_prediction import in_order
    from sslwear.studies.database.optuna_storage import store_errors
    from sslwear.tracking import Store

    store = Store.from_environment(write=False)
    files, others = expanded([_place(recording, store) for recording in recordings], participants)
    arrays = [file for file in files if is_array(file)]
    files = [file for file in files if file not in arrays]
    read_tables(recordings_by_name(files), None, participants)  # a wrong table is refused before hours of work
    with store_errors(store):
        named = _Named.find(store, model)
    tables = predict_arrays(arrays, named.loaded, options, files) if arrays else []
    labelled = _label(files, named, options, jobs) if files else []
    _tell([*tables, *in_order(labelled)], others)
    if files:
        _cohort(labelled, participants, named, options)
    _finalise(tables, labelled, options)


def _place(recording: Path, store: Store) -> Path:
    """A path, or the folder of the data set of a source, if a study file could name the source.

    Raises:
        DataError: when the source has no included recordings.
    """
    from sslwear.data.sources.base import find

    exists = os.path.lexists(recording)
    return recording if exists or str(recording) not in find() else store.open_dataset(str(recording)).folder


@dataclass(frozen=True)
class _Named:
    """A model with its name and version."""

    loaded: Model
    name: str
    version: str

    @classmethod
    def find(cls, store: Store, reference: str) -> _Named:
        from sslwear.deployment.registry import load_model, name_and_version

        name, version = name_and_version(store, reference)  # before, because somebody may move the alias meanwhile
        return cls(load_model(store, f"{name}/{version}" if version else reference), name, version)


def _label(files: Sequence[Path], model: _Named, options: Options, jobs: int | None) -> list[Outcome]:
    """Label recordings, with a progress bar."""
    from sslwear.cli.progress import PredictProgress
    from sslwear.deployment.prediction.batch_prediction import predict as label
    from sslwear.deployment.prediction.cohort_files import check_cohort

    check_cohort(options)
    with PredictProgress(standard_output(), len(files)) as progress:
        return list(label(files, model.loaded, options, jobs or max_parallel_jobs(RECORDING_GB), progress))


def _tell(outcomes: Sequence[Outcome], others: Sequence[Path]) -> None:
    """Print the table of recordings, and what is to be known of each."""
    from sslwear.cli.tables import outcomes_table

    standard_output().print(outcomes_table(outcomes))
    for outcome in outcomes:
        if outcome.warning:
            print_warning(f"{outcome.name}: {outcome.warning}")
        if outcome.error:
            print_warning(f"{outcome.name} was left out: {outcome.error}")
    if others:
        shown = _some([path.name for path in others])
        print_line(standard_output(), f"Not read, because they have other endings: {shown}.")


def _some(names: Sequence[str]) -> str:
    """The first names, and the number of the others."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def _cohort(labelled: Sequence[Outcome], participants: Path | None, model: _Named, options: Options) -> None:
    """Write the tables of people, and print the summary."""
    from sslwear.data.tables.recording_tables import read_tables
    from sslwear.deployment.prediction.batch_prediction import about_labels, in_order
    from sslwear.deployment.prediction.cohort_files import (
        earlier_recordings,
        keep_participants,
        summary,
        write_cohort,
    )

    console, found = standard_output(), []
    print_line(console, "")
    if any(not outcome.error for outcome in labelled):
        earlier, others = earlier_recordings(labelled, options)
        every = in_order([*labelled, *earlier])
        before = {one.name: one.participant for one in every if one.participant is not None}
        tables = read_tables([one.name for one in every], None, participants, before)
        for warning in tables.warnings:
            print_warning(warning)
        keep_participants(every, tables.declared, options)
        found = write_cohort(every, tables.participants, model.loaded.card, model.name, model.version, options)
        if earlier:
            also = count(len(earlier), "recording")
            print_line(console, f"The tables of people also have {also} of earlier commands.")
        if others:
            print_warning(
                f"the tables of people do not have {count(len(others), 'recording')} in {options.out} that another "
                f"model, other options or another version of sslwear labelled: {_some(others)}. To have them, label "
                "them again with --overwrite"
            )
    print_line(console, about_labels(model.loaded.card, options))
    for line in summary(labelled, found):
        print_line(console, line)


def _finalise(tables: Sequence[Outcome], labelled: Sequence[Outcome], options: Options) -> None:
    """Print which files were written.

    Args:
        tables: outcomes of arrays of windows.
        labelled: outcomes of recordings.
        options: options of the prediction.

    Raises:
        typer.Exit: with code 1, when a file was left out.
    """
    from sslwear.deployment.prediction.files import COHORT

    for outcome in tables:
        if not outcome.error:
            print_line(standard_output(), f"Labels of the windows: {options.outputs(outcome.name)['windows']}.")
    made = [outcome for outcome in labelled if not outcome.error]
    if made:
        endings = ", ".join(path.name.removeprefix(made[0].name) for path in options.outputs(made[0].name).values())
        print_line(standard_output(), f"Files for each recording in {options.out}: {endings}.")
        print_line(standard_output(), f"Files for all of them: {', '.join(COHORT.values())}.")
    if any(outcome.error for outcome in (*tables, *labelled)):
        raise typer.Exit(1)
