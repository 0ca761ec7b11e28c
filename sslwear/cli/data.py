"""The ``sslwear data`` commands: download, prepare, import and describe data sets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.predict_options import (
    NONWEAR_MINUTES,
    STILL_MG,
    ClockKind,
    Columns,
    NonwearMinutes,
    NonwearThreshold,
    Rate,
    StartTime,
    TableUnit,
    TimeFormat,
    Timezone,
    reading_of,
)
from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.cli.windows import DATA
from sslwear.utils.processes import max_parallel_jobs

if TYPE_CHECKING:
    from sslwear.data.prepare import PreparationResult, WindowPlan
    from sslwear.data.sources.base import Source

data_app = typer.Typer(no_args_is_help=True, help="Download, prepare, import and describe data sets.")

RESUMES = "finished participants are kept; the same command resumes"
SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="A source in the output of 'sslwear data sources'.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="The data set directory to write.")]
Window = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Length of a window; by default the source's, and 10 s for recordings."),
]
Step = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Distance between the starts of windows; by default the length given with --window, or the source's, and "
        "10 s for recordings.",
    ),
]
DAY_GB, DEVICE_WEEK_GB = 0.7, 0.5
"""Memory that a day at 100 Hz takes in preparation, and a week of a device in import."""
AT_A_TIME = "at a time; by default as many as the process has cores and memory for, at {:g} GB each."


@data_app.command("sources")
def data_sources() -> None:
    """List the sources of recordings with their licences and homepages."""
    with user_errors():
        from sslwear.cli.tables import sources_table
        from sslwear.data.sources.base import find

        standard_output().print(sources_table(list(find().values())))


@data_app.command("fetch")
def data_fetch(
    source: SourceName,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The output folder; by default downloads/SOURCE.")
    ] = None,
) -> None:
    """Download the archive of a public data set; its licence and citation are shown first."""
    with user_errors("downloaded parts are kept; the same command resumes the download"):
        from sslwear.cli.progress import DownloadProgress
        from sslwear.data.downloads import fetch, terms
        from sslwear.data.sources.base import get
        from sslwear.utils.digests import sha256

        found, console = get(source), standard_output()
        folder = out or Path("downloads") / source
        print_line(console, terms(found))
        with DownloadProgress(console) as progress:
            paths = fetch(found, folder, progress)
        for path in paths:
            print_line(console, f"{path}, SHA-256 {sha256(path)}")
        raw = shlex.quote(str(paths[0] if len(paths) == 1 else folder))
        print_line(console, f"Prepare it with: sslwear data prepare {source} --raw {raw} --out datasets/{source}")


@data_app.command("prepare")
def data_prepare(
    source: SourceName,
    out: Out,
    raw: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The published archive, or its unpacked folder.")
    ] = None,
    label_scheme: Annotated[
        str | None, typer.Option(metavar="NAME", help="Label scheme of a source with several, such as Walmsley2020.")
    ] = None,
    all_activities: Annotated[
        bool, typer.Option("--all-activities", help="Keep all activities, not only those of the published benchmark.")
    ] = False,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Write all windows and no labels, for pre-training.")
    ] = False,
    window: Window = None,
    step: Step = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help=f"Participants {AT_A_TIME.format(DAY_GB)}")
    ] = None,
) -> None:
    """Convert the files of a public data set to a directory of labelled windows."""
    with user_errors(RESUMES):
        from sslwear.data.sources.base import Options, get

        options = Options(label_scheme, all_activities)
        found = get(source)(raw, options)
        _prepare(found, out, _plan(found, window, step, unlabelled), jobs or max_parallel_jobs(DAY_GB))


@data_app.command("import")
def data_import(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files: .cwa .gt3x .bin .csv, or .gz; .npy .parquet."),
    ],
    out: Out,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table with the columns participant, start, end, label; without it windows have no labels.",
        ),
    ] = None,
    participants: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Table with the columns recording, participant, for people with several recordings."
        ),
    ] = None,
    window: Window = None,
    step: Step = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help=f"Files {AT_A_TIME.format(DEVICE_WEEK_GB)}")
    ] = None,
    columns: Columns = None,
    time_format: TimeFormat = None,
    units: TableUnit = "g",
    rate: Rate = None,
    start_time: StartTime = None,
    timezone: Timezone = None,
    clock: ClockKind = "fixed",
    nonwear_threshold: NonwearThreshold = STILL_MG,
    nonwear_minutes: NonwearMinutes = NONWEAR_MINUTES,
) -> None:
    """Convert files of Axivity, ActiGraph and GENEActiv devices, or tables, to windows with or without labels."""
    with user_errors(RESUMES):
        from sslwear.data.devices import DeviceFiles

        times = (start_time, timezone, clock)
        reading = reading_of(columns, time_format, units, rate, *times, nonwear_threshold, nonwear_minutes)
        source = DeviceFiles(files, labels, participants, reading.unless_default, out.resolve().name)
        for warning in source.warnings:
            print_warning(warning)
        plan = _plan(source, window, step, unlabelled=labels is None)
        _prepare(source, out, plan, jobs or max_parallel_jobs(DEVICE_WEEK_GB))


@data_app.command("describe")
def data_describe(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
) -> None:
    """Check a data set, the value of data in a study file, and print shapes, label counts, participants and memory."""
    with user_errors():
        from sslwear.cli.tables import facts_table
        from sslwear.tracking import Store

        found = Store.from_environment(write=False).open_windows(data)
        standard_output().print(facts_table(found.describe()), markup=False)


def _plan(source: Source, window: float | None, step: float | None, unlabelled: bool) -> WindowPlan:
    """Length and step of windows; without a step, windows of a given length do not overlap."""
    from sslwear.data.prepare import WindowPlan
    from sslwear.errors import DataError

    for name, value in (("window", window), ("step", step)):
        if value is not None and not 0 < value < 86400:
            raise DataError(f"--{name} {value:g} is out of range. Give a number of seconds above 0 and below a day")
    window_s = source.window_s if window is None else window
    step_s = step if step is not None else (source.step_s if window is None else window_s)
    return WindowPlan(window_s, step_s, unlabelled=unlabelled)


def _prepare(source: Source, out: Path, plan: WindowPlan, jobs: int) -> None:
    """Prepare a data set, with a progress bar and a summary.

    Raises:
        typer.Exit: with code 1, when a participant could not be read.
    """
    from sslwear.cli.progress import PrepareProgress
    from sslwear.cli.tables import results_table
    from sslwear.data.prepare import NoWindowsError, prepare

    console = standard_output()
    with PrepareProgress(console) as progress:
        try:
            results, nothing = prepare(source, out, plan, jobs, progress), None
        except NoWindowsError as error:
            results, nothing = error.results, error
    console.print(results_table(results, source.limit_g is not None))
    failed = [result for result in results if result.error]
    if nothing is None:
        _finalise(out, plan, results)
    if nothing is None or len(results) > 1:
        for result in failed:
            print_warning(f"{result.participant} was left out: {result.error}")
    if nothing is not None:
        raise nothing
    if failed:
        print_warning(f"{out} lacks what was left out. To read it again, delete the directory and repeat the command")
        raise typer.Exit(1)


def _finalise(out: Path, plan: WindowPlan, results: list[PreparationResult]) -> None:
    from sslwear.data.sources.base import find

    console = standard_output()
    print_line(console, f"\n{sum(result.windows for result in results)} windows in {out}.")
    data = f"./{out}" if str(out) in find() else out  # the name alone may mean the source
    if plan.unlabelled:
        print_line(console, f"To pre-train on them, set pretraining: {{data: {data}}} in a study file.")
    else:
        print_line(
            console,
            f"Describe it with: sslwear data describe {shlex.quote(str(data))}. To use it, set data: {data} in a study "
            "file.",
        )
