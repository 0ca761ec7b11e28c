"""Options of the commands that read recordings: about files, time zones, non-wear, and days that count."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.errors import DataError, SettingsError

if TYPE_CHECKING:
    import torch

    from sslwear.data.files.recording_format import Reading
    from sslwear.evaluation.counting import CountingRule

DEVICES, PRECISIONS = r"auto|cpu|mps|cuda(:\d+)?", ("auto", "float32", "bf16")
WINDOWS = "X.npy"
FILES, PEOPLE = "Files", "Days and people"
STILL_MG, NONWEAR_MINUTES = 15.0, 90.0
RECORDING_GB = 1.0
"""Memory of one prediction, independent of the recording's length: Python with PyTorch, Java, buffered samples."""
DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(h|min)\s*")

Recordings = Annotated[
    list[Path],
    typer.Argument(
        metavar="RECORDING...",
        help="Files: .cwa .gt3x .bin .csv, or these with .gz, .npy .parquet; folders of them; or windows: X.npy, the "
        "folder of a data set, or smartwatch.",
    ),
]
PromotedModel = Annotated[
    str, typer.Option(metavar="MODEL", help="NAME@champion, NAME/VERSION, or runs:/ID of a run with weights.")
]
Folder = Annotated[Path, typer.Option(metavar="DIR", help="The output folder.")]
Format = Annotated[
    str, typer.Option("--format", metavar="csv|parquet", help="Format of the table of windows; summaries are CSV.")
]
Smooth = Annotated[
    bool | None,
    typer.Option(
        "--smooth/--no-smooth",
        help="Smooth for bouts of --bout minutes, or not at all; by default as was learnt with the model.",
        show_default=False,
    ),
]
Bout = Annotated[
    float | None, typer.Option(metavar="MINUTES", help="Expected duration of an activity, for --smooth; by default 1.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing files; without it, finished recordings are skipped.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Recordings at a time; by default as many as the process has cores and memory for, at "
        f"{RECORDING_GB:g} GB each.",
    ),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[
    str, typer.Option(metavar="auto|float32|bf16", help="auto is bf16 if the device supports it, else float32.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Columns of tables: time,x,y,z (the default), or x,y,z without times; numbers are places.",
        rich_help_panel=FILES,
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="s, ms, us or ns since 1970 or the start, or e.g. '%d/%m/%Y %H:%M:%S'.",
        rich_help_panel=FILES,
    ),
]
Units = Annotated[
    str | None,
    typer.Option(metavar="g|m/s2|mg", help="Unit of acceleration in tables; found by default.", rich_help_panel=FILES),
]
TableUnit = Annotated[
    str, typer.Option("--units", metavar="g|m/s2|mg", help="Unit of acceleration in tables.", rich_help_panel=FILES)
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="HZ", help="Samples per second of tables; by default by their times.", rich_help_panel=FILES),
]
StartTime = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Date and time of the first sample, without times or with times from it.",
        rich_help_panel=FILES,
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="Time zone of days and hours, such as Europe/London.", rich_help_panel=FILES),
]
ClockKind = Annotated[
    str,
    typer.Option(
        "--clock",
        metavar="fixed|local",
        help="Whether the device's clock stays as it was set (fixed), or follows daylight saving (local).",
        rich_help_panel=FILES,
    ),
]
Start = Annotated[
    str | None, typer.Option(metavar="TIME", help="Use samples from this local time on.", rich_help_panel=FILES)
]
End = Annotated[
    str | None, typer.Option(metavar="TIME", help="Use samples before this local time.", rich_help_panel=FILES)
]
NonwearThreshold = Annotated[
    float,
    typer.Option(
        metavar="MG", help="The device is still below this standard deviation of each axis.", rich_help_panel=FILES
    ),
]
NonwearMinutes = Annotated[
    float, typer.Option(metavar="MINUTES", help="Longer still stretches are non-wear.", rich_help_panel=FILES)
]
MinWear = Annotated[
    str, typer.Option(metavar="TIME", help="Least wear of a day that counts: 10h, 600min.", rich_help_panel=PEOPLE)
]
Cover = Annotated[
    str,
    typer.Option(
        metavar="none|day|person",
        help="Wear is needed in each hour of a day that counts, or at each hour of the clock of a person who counts.",
        rich_help_panel=PEOPLE,
    ),
]
MinDays = Annotated[int, typer.Option(metavar="N", help="Least days of a person who counts.", rich_help_panel=PEOPLE)]
MinWeekdays = Annotated[int, typer.Option(metavar="N", help="Least weekdays among these days.", rich_help_panel=PEOPLE)]
MinWeekendDays = Annotated[
    int, typer.Option(metavar="N", help="Least weekend days among these days.", rich_help_panel=PEOPLE)
]
Participants = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Table with the columns recording, participant, for people with several recordings.",
        rich_help_panel=PEOPLE,
    ),
]


def reading_of(
    columns: str | None,
    time_format: str | None,
    units: str | None,
    rate: float | None,
    start_time: str | None,
    timezone: str | None,
    clock: str,
    nonwear_threshold: float,
    nonwear_minutes: float,
    start: str | None = None,
    end: str | None = None,
) -> Reading:
    """How recordings are read, from the options.

    Raises:
        SettingsError: when a value is impossible.
    """
    from sslwear.data.files.recording_format import NonwearRule, Reading, RecordingFormat

    names = {} if columns is None else {"columns": tuple(name.strip() for name in columns.split(","))}
    given = RecordingFormat(time_format=time_format, unit=units, rate_hz=rate, start_time=start_time, **names)
    return Reading(given, timezone, clock, start, end, NonwearRule(nonwear_threshold / 1000, nonwear_minutes))


def rule_of(min_wear: str, cover: str, min_days: int, min_weekdays: int, min_weekend_days: int) -> CountingRule:
    """Which days and people count, from the options.

    Raises:
        SettingsError: when a value is impossible.
    """
    from sslwear.evaluation.counting import CountingRule

    match = DURATION.fullmatch(min_wear)
    if match is None:
        raise SettingsError(f"--min-wear {min_wear} is not a length of time. Write e.g. 10h or 600min")
    hours = float(match[1]) / (60 if match[2] == "min" else 1)
    return CountingRule(hours, cover, min_days, min_weekdays, min_weekend_days)


def expanded(paths: Sequence[Path], participants: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Files, and those in folders that are recordings; and the files in folders that are none.

    The folder of a data set stands for its windows, ``X.npy``. The table of participants and what an earlier command
    wrote into a folder are neither. A file that is given twice counts once.

    Raises:
        DataError: when a folder has no recordings.
    """
    from sslwear.data.files.device_checks import DEVICE_ENDINGS, TABLE_ENDINGS
    from sslwear.deployment.prediction.files import written

    table = None if participants is None else os.path.realpath(participants)
    found: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - a name that is too long is none
            found.append(path)
            continue
        if (path / WINDOWS).is_file():
            found.append(path / WINDOWS)
            continue
        ours = written(path)
        inside = sorted(
            one
            for one in path.iterdir()
            if not (one.is_dir() or one.name.startswith(".") or one.name in ours or os.path.realpath(one) == table)
        )
        mine = [one for one in inside if one.name.lower().endswith((*DEVICE_ENDINGS, *TABLE_ENDINGS))]
        if not mine:
            raise DataError(f"{path} has no recordings. Give a folder with files such as .cwa, .gt3x, .bin or .csv")
        found += mine
        others += [one for one in inside if one not in mine]
    return list({os.path.abspath(one): one for one in found}.values()), others  # noqa: PTH100 - links are other files


def computation(device: str, precision: str) -> tuple[torch.device, str]:
    """Device and precision on this machine, of the options with these names.

    Raises:
        SettingsError: when they are unknown, or this machine does not support them.
    """
    from sslwear.training.device import resolve_device, resolve_precision

    if not re.fullmatch(DEVICES, device):
        raise SettingsError(f"--device {device} is unknown. Write auto, cpu, mps, cuda, or cuda:N")
    if precision not in PRECISIONS:
        raise SettingsError(f"--precision {precision} is unknown. Write one of {', '.join(PRECISIONS)}")
    found = resolve_device(device)
    return found, resolve_precision(precision, found)
