"""Recordings in tables: separators, decimal commas, times of all kinds, units, rates, NumPy and Parquet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sslwear.data.files.device_reader import DeviceRecording, open_recording
from sslwear.data.files.recording_format import EPOCHS, NonwearRule, Reading, RecordingFormat
from sslwear.errors import DataError, SettingsError

NOON = np.datetime64("2024-05-01T12:00", "ns")
COUNT, RATE = 600, 50
OFFSET = pd.Timedelta(hours=1)


def samples(count: int = COUNT, rate_hz: float = RATE) -> pd.DataFrame:
    """Nearly at rest from noon by the local clock of London in summer."""
    noise = np.random.default_rng(0).normal(0, 0.01, (count, 3)).round(4)
    table = pd.DataFrame(noise + np.array([0, 0, 1]), columns=["x", "y", "z"]).round(4)
    table.insert(0, "time", NOON + np.rint(np.arange(count) * 1e6 / rate_hz).astype("timedelta64[us]"))
    return table


def read(path: Path, folder: Path, **options: Any) -> tuple[DeviceRecording, np.ndarray, np.ndarray]:
    """The recording, and all its instants and samples."""
    given = {name: options.pop(name) for name in RecordingFormat.__dataclass_fields__ if name in options}
    reading = Reading(RecordingFormat(**{"unit": None, **given}), **options)
    with open_recording(path, folder, reading) as found:
        pieces = list(found.pieces())
        time = np.concatenate([piece.time for piece in pieces])
        return found, found.clock.instants(time), np.concatenate([piece.samples for piece in pieces])


def separated(separator: str, decimal: str) -> Callable[[pd.DataFrame], str]:
    return lambda table: table.to_csv(index=False, sep=separator, decimal=decimal)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (separated(",", "."), ""),
        (separated(";", "."), "semicolons between values"),
        (separated("\t", "."), "tabs between values"),
        (separated(";", ","), "semicolons between values, decimal commas"),
        (separated("\t", ","), "tabs between values, decimal commas"),
        (separated(",", ","), "decimal commas"),  # in quotes
        (lambda table: "\ufeff" + table.to_csv(index=False), ""),
        (lambda table: "\ufeff" + table.to_csv(index=False, sep=";", decimal=","), "decimal commas"),
        (lambda table: table.to_csv(index=False, lineterminator="\r\n"), ""),
    ],
    ids=["comma", "semicolon", "tab", "; with ,", "tab with ,", "quoted", "mark", "mark with ;", "crlf"],
)
def test_the_dialect_of_a_file_is_found_and_said(
    tmp_path: Path, write: Callable[[pd.DataFrame], str], said: str
) -> None:
    table = samples()
    (tmp_path / "anna.csv").write_bytes(write(table).encode())
    found, time, values = read(tmp_path / "anna.csv", tmp_path)
    assert said in found.note
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])
    np.testing.assert_allclose(values.mean(axis=0), table[["x", "y", "z"]].mean(), atol=1e-3)


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M:%S,%f", "%d/%m/%Y %H:%M:%S.%f"])
def test_a_decimal_comma_of_the_times_may_be_in_their_form(tmp_path: Path, form: str) -> None:
    table = samples()
    written = table.assign(time=table["time"].dt.strftime("%d/%m/%Y %H:%M:%S,%f"))
    written.to_csv(tmp_path / "anna.csv", sep=";", decimal=",", index=False)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, time_format=form)
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])


def epoch(unit_ns: int, kind: type = int) -> Callable[[pd.DataFrame], pd.Series[Any]]:
    return lambda table: ((table["time"] - OFFSET).astype("datetime64[ns]").astype(np.int64) / unit_ns).astype(kind)


def texts(ending: str, shift: pd.Timedelta) -> Callable[[pd.DataFrame], pd.Series[Any]]:
    return lambda table: (table["time"] + shift).dt.strftime("%Y-%m-%dT%H:%M:%S.%f") + ending


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (epoch(10**9, float), "times in seconds since 1970"),
        (epoch(10**6), "times in milliseconds since 1970"),
        (epoch(10**3), "times in microseconds since 1970"),
        (epoch(1), "times in nanoseconds since 1970"),
        (texts("Z", -OFFSET), "times with an offset from UTC"),
        (texts("+01:00", pd.Timedelta(0)), "times with an offset from UTC"),
        (texts("+0530", pd.Timedelta(hours=4.5)), "times with an offset from UTC"),
        (texts("+0100 [Europe/London]", pd.Timedelta(0)), "times with an offset from UTC"),
        (texts("", pd.Timedelta(0)), "CSV, 50 Hz, gravity"),
    ],
    ids=["s", "ms", "us", "ns", "Z", "+01:00", "+0530", "[zone]", "local"],
)
def test_times_of_all_kinds_are_the_same_instants(
    tmp_path: Path, times: Callable[[pd.DataFrame], pd.Series[Any]], said: str
) -> None:
    table = samples()
    table.assign(time=times(table)).to_csv(tmp_path / "anna.csv", index=False)
    found, time, _ = read(tmp_path / "anna.csv", tmp_path, zone="Europe/London")
    assert said in found.note
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"] - OFFSET)
    assert "2024-05-01 12:00:00+01:00 to 2024-05-01 12:00:11+01:00" in found.note
    if said.startswith("times"):
        with pytest.raises(DataError, match=r"times since 1970 or with an offset are taken if --timezone is given"):
            read(tmp_path / "anna.csv", tmp_path)


def test_times_with_decimal_commas_since_1970(tmp_path: Path) -> None:
    table = samples()
    table.assign(time=epoch(10**9, float)(table)).to_csv(tmp_path / "anna.csv", index=False, sep=";", decimal=",")
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, zone="Europe/London")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"] - OFFSET)


def test_two_offsets_over_a_change_of_the_clocks(tmp_path: Path) -> None:
    instants = pd.date_range("2024-10-27 00:59:54", periods=COUNT, freq="20ms", tz="UTC")
    local = instants.tz_convert("Europe/London")
    text = pd.Series(local.map(lambda one: one.isoformat()))
    assert text.str[-6:].nunique() == 2
    samples().assign(time=text).to_csv(tmp_path / "anna.csv", index=False)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, zone="Europe/London")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), instants.tz_localize(None))


def test_a_stated_time_format(tmp_path: Path) -> None:
    table = samples()
    form = "%d/%m/%Y %H:%M:%S.%f"
    table.assign(time=table["time"].dt.strftime(form)).to_csv(tmp_path / "anna.csv", index=False)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, time_format=form)
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])
    wrong = (
        r"the column time has '01/05/2024 12:00:00.000000', unlike '%Y-%m-%d'\); give the form .* with %f for digits"
    )
    with pytest.raises(DataError, match=wrong):
        read(tmp_path / "anna.csv", tmp_path, time_format="%Y-%m-%d")


def test_a_file_without_names_asks_for_places(tmp_path: Path) -> None:
    samples().to_csv(tmp_path / "bare.csv", index=False, header=False)
    with pytest.raises(
        DataError, match=r"no column time, x, y, z; its first line is .*by place with --columns, e\.g\."
    ):
        read(tmp_path / "bare.csv", tmp_path)


def test_columns_by_name_and_by_place(tmp_path: Path) -> None:
    table = samples()
    names = {"time": "Timestamp", "x": "Accelerometer X", "y": "Accelerometer Y", "z": "Accelerometer Z"}
    table.assign(light=7).rename(columns=names).to_csv(tmp_path / "named.csv", index=False)
    table.assign(light=7)[["light", "time", "z", "x", "y"]].to_csv(tmp_path / "bare.csv", index=False, header=False)
    for file, columns in (("named.csv", tuple(names.values())), ("bare.csv", ("2", "4", "5", "3"))):
        _, time, values = read(tmp_path / file, tmp_path, columns=columns)
        np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])
        np.testing.assert_allclose(values.mean(axis=0), table[["x", "y", "z"]].mean(), atol=1e-3)
    with pytest.raises(DataError, match=r"it has 5 columns, and no column 6"):
        read(tmp_path / "bare.csv", tmp_path, columns=("2", "4", "5", "6"))
    with pytest.raises(DataError, match=r"it has no column Accelerometer Q; its first line is .* with --columns"):
        read(
            tmp_path / "named.csv",
            tmp_path,
            columns=("Timestamp", "Accelerometer X", "Accelerometer Y", "Accelerometer Q"),
        )


@pytest.mark.parametrize(("unit", "factor"), [("g", 1), ("m/s2", 9.80665), ("mg", 1000)])
def test_units_are_found_or_stated(tmp_path: Path, unit: str, factor: float) -> None:
    table = samples()
    table[["x", "y", "z"]] *= factor
    table.to_csv(tmp_path / "anna.csv", index=False)
    for given in (None, unit):
        found, _, values = read(tmp_path / "anna.csv", tmp_path, unit=given)
        assert np.median(np.linalg.norm(values, axis=1)) == pytest.approx(1, abs=0.01)
        assert (f"in {unit}," in found.note) == (unit != "g")
    for other in {"g", "m/s2", "mg"} - {unit}:
        with pytest.raises(
            DataError, match=rf"anna\.csv is not in {other}: .* at rest it is in {unit}\. Give --units {unit}"
        ):
            read(tmp_path / "anna.csv", tmp_path, unit=other)


@pytest.mark.parametrize("rate_hz", [25, 31.25, 50, 85.7, 800])
def test_rates_are_found_by_the_times(tmp_path: Path, rate_hz: float) -> None:
    table = samples(int(40 * rate_hz), rate_hz)
    table["time"] = table["time"].dt.round("ms")
    table.to_csv(tmp_path / "anna.csv", index=False)
    reading = Reading(RecordingFormat(unit=None))
    with open_recording(tmp_path / "anna.csv", tmp_path, reading) as found:
        windows = list(found.windows(30, 10, 10))
    assert found.rate_hz == pytest.approx(rate_hz, rel=2e-3)
    assert sum(map(len, windows)) == 4


@pytest.mark.parametrize("rate_hz", [20, 50, 1000])
@pytest.mark.parametrize("count", [1, 2, 27, 28])
def test_few_samples_are_read_and_have_no_window(tmp_path: Path, rate_hz: float, count: int) -> None:
    samples(count, rate_hz).to_csv(tmp_path / "a.csv", index=False)
    with open_recording(tmp_path / "a.csv", tmp_path) as found:
        assert sum(len(piece.samples) for piece in found.pieces()) == count
        assert not any(len(windows) for windows in found.windows(30, 10, 10))


def test_times_cut_to_the_second_are_spread_at_the_stated_rate(tmp_path: Path) -> None:
    table = samples()
    table.assign(time=table["time"].dt.floor("s")).to_csv(tmp_path / "anna.csv", index=False)
    with pytest.raises(DataError, match="times that cannot be right"):
        read(tmp_path / "anna.csv", tmp_path)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, rate_hz=50.0)
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])


@pytest.mark.parametrize("piece", [100_000, 128])
def test_a_sample_without_a_time_keeps_its_place_in_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("sslwear.data.files.table_recordings.PIECE_SAMPLES", piece)
    table = samples()
    times = table["time"].dt.floor("s").astype(str)
    lost = [7, 127, 128, 129, 320]
    times[lost] = ""
    table.assign(time=times).to_csv(tmp_path / "anna.csv", index=False)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, rate_hz=50.0)
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"].drop(lost))


def test_times_beyond_what_can_be_kept_are_refused(tmp_path: Path) -> None:
    table = samples()
    milliseconds = table["time"].astype("datetime64[ms]").astype(np.int64)
    compact = 20240501120000000 + 20 * np.arange(COUNT)
    for times, options in ((milliseconds, {"time_format": "s"}), (compact, {})):
        table.assign(time=times).to_csv(tmp_path / "anna.csv", index=False)
        with pytest.raises(DataError, match="years before 1678 or after 2261"):
            read(tmp_path / "anna.csv", tmp_path, zone="UTC", **options)


@pytest.mark.parametrize("start", ["2024-10-27 00:30", "2024-03-31 00:30"])
@pytest.mark.parametrize("timed", [True, False])
def test_elapsed_time_does_not_jump_when_the_clocks_change(tmp_path: Path, start: str, timed: bool) -> None:
    table = samples(4 * 3600, 1.0).assign(time=np.arange(4 * 3600.0))
    given: dict[str, Any] = {"start_time": start}
    if not timed:
        table, given = table.drop(columns="time"), {**given, "columns": ("x", "y", "z"), "rate_hz": 1.0}
    table.to_csv(tmp_path / "anna.csv", index=False)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, zone="Europe/London", clock="local", **given)
    assert set(np.diff(time)) == {10**9}
    first = pd.Timestamp(start, tz="Europe/London").tz_convert("UTC").tz_localize(None)
    assert time[0] == first.value


def test_files_without_times_have_a_stated_start_and_rate(tmp_path: Path) -> None:
    table = samples()
    table[["x", "y", "z"]].to_csv(tmp_path / "anna.csv", index=False)
    np.save(tmp_path / "ben.npy", table[["x", "y", "z"]].to_numpy())
    given: dict[str, Any] = {"columns": ("x", "y", "z"), "rate_hz": 50.0, "start_time": "2024-05-01 12:00"}
    for name in ("anna.csv", "ben.npy"):
        _, time, _ = read(tmp_path / name, tmp_path, **given)
        np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])
    _, time, _ = read(tmp_path / "ben.npy", tmp_path, zone="Europe/London", **given)
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"] - OFFSET)


def test_seconds_from_a_stated_start(tmp_path: Path) -> None:
    table = samples()
    table.assign(time=np.arange(COUNT) / RATE).to_csv(tmp_path / "anna.csv", index=False)
    found, time, _ = read(tmp_path / "anna.csv", tmp_path, start_time="2024-05-01 12:00")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])
    assert "times in seconds from 2024-05-01 12:00" in found.note


@pytest.mark.parametrize(("unit", "word"), [("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds")])
@pytest.mark.parametrize("zone", [None, "Europe/London"])
def test_times_from_a_stated_start_may_have_another_unit(
    tmp_path: Path, unit: str, word: str, zone: str | None
) -> None:
    table = samples()
    ticks = np.arange(COUNT) * EPOCHS["s"] // RATE / EPOCHS[unit]
    table.assign(time=ticks if unit == "s" else ticks.astype(int)).to_csv(tmp_path / "anna.csv", index=False)
    found, time, _ = read(tmp_path / "anna.csv", tmp_path, zone=zone, time_format=unit, start_time="2024-05-01 12:00")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"] - (OFFSET if zone else pd.Timedelta(0)))
    assert f"times in {word} from 2024-05-01 12:00" in found.note


@pytest.mark.parametrize("times", ["dates", "since 1970"])
def test_a_start_that_would_have_no_effect_is_refused(tmp_path: Path, times: str) -> None:
    table = samples()
    written = table if times == "dates" else table.assign(time=epoch(10**6)(table))
    written.to_csv(tmp_path / "anna.csv", index=False)
    with pytest.raises(DataError, match=r"the column time has .*, so --start-time has no effect\); leave it out"):
        read(tmp_path / "anna.csv", tmp_path, zone="Europe/London", start_time="2030-05-01 12:00")


@pytest.mark.parametrize(("unit", "word"), [(None, "seconds"), ("s", "seconds"), ("ms", "milliseconds")])
def test_times_without_a_start_are_refused_with_the_option_for_it(tmp_path: Path, unit: str | None, word: str) -> None:
    samples().assign(time=np.arange(COUNT) / RATE).to_csv(tmp_path / "anna.csv", index=False)
    with pytest.raises(DataError, match=f"give --start-time if they are {word} from the start"):
        read(tmp_path / "anna.csv", tmp_path, time_format=unit)


@pytest.mark.parametrize("name", ["anna.npy", "anna.parquet"])
def test_missing_columns_are_answered_with_the_options_for_them(tmp_path: Path, name: str) -> None:
    axes = samples()[["x", "y", "z"]]
    if name.endswith(".npy"):
        np.save(tmp_path / name, axes.to_numpy())
    else:
        axes.to_parquet(tmp_path / name)
    with pytest.raises(DataError, match="or without times with --columns X,Y,Z --rate --start-time"):
        read(tmp_path / name, tmp_path)


def npy_of(table: pd.DataFrame, kind: str) -> np.ndarray:
    if kind == "numbers":
        return np.column_stack([epoch(10**6, float)(table), table[["x", "y", "z"]]])
    records = np.zeros(
        len(table), [("time", "datetime64[ms]"), ("x", ">f4"), ("y", "f4"), ("z", "f8"), ("light", "i2")]
    )
    for name in "xyz":
        records[name] = table[name]
    records["time"] = table["time"].to_numpy()
    return records


@pytest.mark.parametrize("kind", ["numbers", "records"])
def test_numpy_recordings(tmp_path: Path, kind: str) -> None:
    table = samples()
    np.save(tmp_path / "anna.npy", npy_of(table, kind))
    found, time, values = read(tmp_path / "anna.npy", tmp_path, zone="Europe/London")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"] - OFFSET)
    np.testing.assert_allclose(values.mean(axis=0), table[["x", "y", "z"]].mean(), atol=1e-3)
    assert found.quality.device == "NumPy"


def test_places_of_columns_hold_where_there_are_as_many_as_names(tmp_path: Path) -> None:
    table = samples()
    np.save(tmp_path / "anna.npy", table[["z", "y", "x"]].to_numpy())
    given: dict[str, Any] = {"rate_hz": 50.0, "start_time": "2024-05-01 12:00"}
    _, _, values = read(tmp_path / "anna.npy", tmp_path, columns=("3", "2", "1"), **given)
    np.testing.assert_allclose(values.mean(axis=0), table[["x", "y", "z"]].mean(), atol=1e-3)


def test_parquet_with_times_as_index(tmp_path: Path) -> None:
    table = samples()
    table.set_index("time").to_parquet(tmp_path / "anna.parquet")
    _, time, _ = read(tmp_path / "anna.parquet", tmp_path)
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"])


@pytest.mark.parametrize("times", ["naive", "aware", "text", "numbers"])
def test_parquet_recordings(tmp_path: Path, times: str) -> None:
    table = samples()
    kinds = {
        "naive": table["time"],
        "aware": (table["time"] - OFFSET).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        "text": table["time"].astype(str),
        "numbers": epoch(10**6)(table),
    }
    table.assign(time=kinds[times], light=1).to_parquet(tmp_path / "anna.parquet")
    _, time, _ = read(tmp_path / "anna.parquet", tmp_path, zone="Europe/London")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"] - OFFSET)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 7)), "it has 7 columns, not 4"),
        (np.zeros(5), "not a table of numbers"),
        (np.array([["a", "b", "c", "d"]]), "not a table of numbers"),
        (np.zeros(5, [("time", "f8"), ("x", "f4")]), "it has no column y, z, but time, x"),
        (np.full((600, 4), 1.7e9, np.float32), "32-bit floats, which are too coarse"),
        (np.full((600, 4), np.inf), "the column time has 'inf', not a date"),
    ],
)
def test_arrays_that_are_no_recording_are_refused(tmp_path: Path, array: np.ndarray, said: str) -> None:
    np.save(tmp_path / "anna.npy", array)
    with pytest.raises(DataError, match=said):
        read(tmp_path / "anna.npy", tmp_path, zone="UTC")


def test_damaged_binary_tables_are_refused(tmp_path: Path) -> None:
    for name in ("anna.npy", "anna.parquet"):
        (tmp_path / name).write_bytes(b"\x93NUMPY nothing")
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read(tmp_path / name, tmp_path)
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "evil.npy", tmp_path)


def test_start_and_end_limit_what_is_used_in_local_time(tmp_path: Path) -> None:
    table = samples()
    table.to_csv(tmp_path / "anna.csv", index=False)
    limits = {"start": "2024-05-01 12:00:02", "end": "2024-05-01 12:00:05"}
    for zone, shift in ((None, pd.Timedelta(0)), ("Europe/London", OFFSET)):
        found, time, values = read(tmp_path / "anna.csv", tmp_path, zone=zone, **limits)
        np.testing.assert_array_equal(time.view("datetime64[ns]"), table["time"][100:250] - shift)
        assert (len(values), found.quality.samples, found.seconds) == (150, 150, pytest.approx(2.98))
    with pytest.raises(DataError, match=r"no samples between --start and --end. It is from 2024-05-01 12:00:00 to"):
        read(tmp_path / "anna.csv", tmp_path, start="2024-05-02")


def test_a_clock_that_follows_daylight_saving(tmp_path: Path) -> None:
    instants = pd.date_range("2024-10-26 23:30", "2024-10-27 02:30", freq="1s", tz="UTC", inclusive="left")
    local = instants.tz_convert("Europe/London").tz_localize(None)
    samples(len(instants)).assign(time=local).to_csv(tmp_path / "anna.csv", index=False)
    _, time, _ = read(tmp_path / "anna.csv", tmp_path, zone="Europe/London", clock="local")
    np.testing.assert_array_equal(time.view("datetime64[ns]"), instants.tz_localize(None))
    with pytest.raises(DataError, match="times that occur twice, as after a set-back of the clock"):
        read(tmp_path / "anna.csv", tmp_path, zone="Europe/London")  # never bridged: which hour is which is unknown


def test_non_wear_by_settings_and_quality(tmp_path: Path) -> None:
    rate_hz, minutes = 20, 60
    table = samples(rate_hz * 60 * minutes, rate_hz)
    values = table[["x", "y", "z"]].to_numpy() + np.random.default_rng(1).normal(0, 0.1, (len(table), 3))
    values[rate_hz * 600 : rate_hz * 2400] = [0, 0, 1]  # still for 30 minutes
    values[:60] = [8, 0, 0]
    table[["x", "y", "z"]] = values.clip(-8, 8)
    table.drop(index=range(rate_hz * 3000, rate_hz * 3010)).to_csv(tmp_path / "anna.csv", index=False)
    found, _, _ = read(tmp_path / "anna.csv", tmp_path)
    assert (found.quality.nonwear_episodes, found.quality.interrupts) == (0, 1)
    assert found.quality.clipped_share == pytest.approx(60 / (len(table) - 200))
    assert found.quality.calibration_error_before_mg is not None
    found, _, _ = read(tmp_path / "anna.csv", tmp_path, nonwear=NonwearRule(minutes=20))
    assert found.quality.nonwear_episodes == 1
    begin, end = found.nonwear[0]
    assert (end - begin) / 6e10 == pytest.approx(30, abs=0.5)
    found, _, _ = read(tmp_path / "anna.csv", tmp_path, nonwear=NonwearRule(still_g=0.5, minutes=45))
    assert found.quality.nonwear_episodes == 0 + (found.nonwear[:, 1] - found.nonwear[:, 0] > 45 * 6e10).sum()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ("time", "x")}, r"--columns time,x is not four different names"),
        ({"columns": ("time", "x", "x", "z")}, "is not four different names"),
        ({"columns": ("x", "y", "z")}, "--columns has no time. Give --rate and --start-time"),
        ({"unit": "m/s"}, "--units m/s is unknown. Write one of g, m/s2, mg"),
        ({"rate_hz": 0.0}, "--rate 0 is not from 0.1 to 10000"),
        ({"time_format": "iso"}, "--time-format iso is unknown"),
        ({"time_format": "%H:%M:%S.%f"}, "--time-format %H:%M:%S.%f has no day. Write times with their dates"),
        ({"start_time": "12:00"}, "--start-time 12:00 is not a date and time"),
    ],
)
def test_formats_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        RecordingFormat(**options)


@pytest.mark.parametrize(
    ("options", "said"), [({"still_g": 0.0}, "--nonwear-threshold"), ({"minutes": 0.0}, "--nonwear-m")]
)
def test_non_wear_that_cannot_be_is_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        NonwearRule(**options)


def test_times_of_two_kinds_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslwear.data.files.table_recordings.PIECE_SAMPLES", 100)
    table = samples()
    kinds = {
        "dates": table["time"].astype(str),
        "dates with an offset": (table["time"] - OFFSET).dt.tz_localize("UTC").astype(str),
        "numbers": epoch(10**6)(table).astype(str),
    }
    for above, first in kinds.items():
        for below, last in kinds.items():
            time = pd.concat([first[:200], last[200:]])
            table.assign(time=time).to_csv(tmp_path / "anna.csv", index=False)
            if above == below:
                assert len(read(tmp_path / "anna.csv", tmp_path, zone="Europe/London")[1]) == COUNT
                continue
            with pytest.raises(DataError, match=rf"the column time has '.*' below {above}\)"):
                read(tmp_path / "anna.csv", tmp_path, zone="Europe/London")
