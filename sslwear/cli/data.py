"""The ``sslwear data`` commands: get, prepare, import and look at recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import friendly, say, standard_output
from sslwear.utils.processes import jobs_that_fit

if TYPE_CHECKING:
    from sslwear.data.prepare import Plan, Report
    from sslwear.data.sources.base import Source

data_app = typer.Typer(no_args_is_help=True, help="Get, prepare, import and look at recordings.")

RESUMES = "what was finished is kept, and the same command goes on from there"
SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="A name that 'sslwear data sources' lists.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="The directory to make.")]
Window = Annotated[float | None, typer.Option(metavar="SECONDS", help="Length of a window; the source's by default.")]
Step = Annotated[float | None, typer.Option(metavar="SECONDS", help="Distance between windows' starts.")]
DAY_GB, DEVICE_WEEK_GB = 0.7, 2.5
"""Memory that preparing a participant's day at 100 Hz takes, and importing a week of a device."""
AT_A_TIME = "at a time; by default as many as the process has cores and memory for, at {:g} GB each."


@data_app.command("sources")
def data_sources() -> None:
    """List the sources of recordings, with where to get them and their licences."""
    with friendly():
        from sslwear.cli.console_data import sources_table
        from sslwear.data.sources.base import find

        standard_output().print(sources_table(list(find().values())))


@data_app.command("fetch")
def data_fetch(
    source: SourceName,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to put the archive; downloads/SOURCE by default.")
    ] = None,
) -> None:
    """Download a public data set's archive, after showing its licence and citation."""
    with friendly("what was downloaded is kept, and the same command goes on from there"):
        from sslwear.cli.console_data import DownloadProgress
        from sslwear.data.fetch import fetch, sha256, terms
        from sslwear.data.sources.base import get

        found, console = get(source), standard_output()
        folder = out or Path("downloads") / source
        say(console, terms(found))
        with DownloadProgress(console) as progress:
            paths = fetch(found, folder, progress)
        for path in paths:
            say(console, f"{path}, SHA-256 {sha256(path)}")
        raw = paths[0] if len(paths) == 1 else folder
        say(console, f"Prepare it with: sslwear data prepare {source} --raw {raw} --out datasets/{source}")


@data_app.command("prepare")
def data_prepare(
    source: SourceName,
    out: Out,
    raw: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The published archive, or its unpacked folder.")
    ] = None,
    label_scheme: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which of several sets of labels, such as Walmsley2020.")
    ] = None,
    all_activities: Annotated[
        bool, typer.Option("--all-activities", help="Everything recorded, not what the published benchmark keeps.")
    ] = False,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Keep all windows, without labels: a directory for pre-training.")
    ] = False,
    window: Window = None,
    step: Step = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help=f"Participants {AT_A_TIME.format(DAY_GB)}")
    ] = None,
) -> None:
    """Turn a public data set's files into a data set directory of labelled windows."""
    with friendly(RESUMES):
        from sslwear.data.sources.base import Options, get

        options = Options(label_scheme, all_activities)
        found = get(source)(raw, options)
        _prepare(found, out, _plan(found, window, step, unlabelled), jobs or jobs_that_fit(DAY_GB))


@data_app.command("import")
def data_import(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Device files: .cwa .gt3x .bin .csv, or .gz.")],
    out: Out,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Columns participant, start, end, label; without, no labels.")
    ] = None,
    window: Window = None,
    step: Step = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help=f"Files {AT_A_TIME.format(DEVICE_WEEK_GB)}")
    ] = None,
) -> None:
    """Turn files of Axivity, ActiGraph and GENEActiv devices into windows, with labels or without."""
    with friendly(RESUMES):
        from sslwear.data.devices import DeviceFiles

        source = DeviceFiles(files, labels)
        plan = _plan(source, window, step, unlabelled=labels is None)
        _prepare(source, out, plan, jobs or jobs_that_fit(DEVICE_WEEK_GB))


@data_app.command("describe")
def data_describe(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A data set directory, one of unlabelled shards, or a source's name."),
    ],
) -> None:
    """Check what a study file's data: names, and print shapes, label counts, participants and memory."""
    with friendly():
        from sslwear.cli.console import dataset_table, shards_table
        from sslwear.data.loading import open_windows
        from sslwear.data.shards import Shards
        from sslwear.tracking import Store

        found = open_windows(data, Store.from_environment().home)
        table = shards_table(found) if isinstance(found, Shards) else dataset_table(found)
        standard_output().print(table, markup=False)


def _plan(source: Source, window: float | None, step: float | None, unlabelled: bool) -> Plan:
    """A window length without a step cuts windows side by side."""
    from sslwear.data.prepare import Plan
    from sslwear.errors import DataError

    for name, value in (("window", window), ("step", step)):
        if value is not None and not 0 < value < 86400:
            raise DataError(f"--{name} {value:g}: give a number of seconds greater than 0 and less than a day")
    window_s = source.window_s if window is None else window
    step_s = step if step is not None else (source.step_s if window is None else window_s)
    return Plan(window_s, step_s, unlabelled=unlabelled)


def _prepare(source: Source, out: Path, plan: Plan, jobs: int) -> None:
    """Prepare with a progress bar and a summary.

    Raises:
        typer.Exit: with code 1, when something could not be read.
    """
    from sslwear.cli.console_data import PrepareProgress, reports_table
    from sslwear.data.prepare import NoWindowsError, prepare

    console = standard_output()
    with PrepareProgress(console) as progress:
        try:
            reports, nothing = prepare(source, out, plan, jobs, progress), None
        except NoWindowsError as error:
            reports, nothing = error.reports, error
    console.print(reports_table(reports, source.limit_g is not None))
    failed = [report for report in reports if report.error]
    if nothing is None:
        _finalise(out, plan, reports)
    if nothing is None or len(reports) > 1:
        for report in failed:
            typer.echo(f"sslwear: {report.participant} was left out: {report.error}", err=True)
    if nothing is not None:
        raise nothing
    if failed:
        raise typer.Exit(1)


def _finalise(out: Path, plan: Plan, reports: list[Report]) -> None:
    console = standard_output()
    say(console, f"\n{sum(report.windows for report in reports)} windows in {out}.")
    if plan.unlabelled:
        say(console, f"Pre-train on them with: pretraining: {{data: {out}}} in a study file.")
    else:
        say(console, f"Look at it with: sslwear data describe {out}; study it with: data: {out} in a study file.")
