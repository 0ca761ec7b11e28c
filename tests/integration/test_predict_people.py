"""A folder of recordings becomes a table of people: formats, time zones, rules, resumption, and pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.data.files.clock import Clock
from sslwear.data.files.device_reader import open_recording
from sslwear.deployment.prediction import batch_prediction
from sslwear.deployment.prediction.batch_prediction import predict
from sslwear.deployment.prediction.cohort_files import write_cohort
from sslwear.deployment.prediction.files import COHORT, ENDINGS, Options
from sslwear.deployment.prediction.predicted_folder import read_predictions
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from sslwear.tracking import HOME_VARIABLE, Store

CLASSES = ("rest", "walking", "run")
CARD = Card("cnn10", 300, 30.0, "g", CLASSES, "small", "0" * 64, None, reference_ranges={})
LONDON = "Europe/London"
DOCS = Path(__file__).parents[2] / "docs" / "people.md"


@pytest.fixture(scope="module")
def model() -> Model:
    """A network in the store, whose place `probabilities` takes."""
    return Model(network(CARD), CARD)


def probabilities(model: Model, windows: np.ndarray) -> np.ndarray:
    """Probabilities by motion, because a network of days of windows would take minutes."""
    kind = np.digitize(windows.std(axis=1).mean(axis=1), [0.1, 0.6])
    return np.eye(3, dtype=np.float32)[kind] * 0.8 + np.float32(0.2 / 3)


@pytest.fixture(autouse=True)
def _motion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "probabilities", probabilities)


@pytest.fixture
def command(store: Store, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command within this process, with one job."""
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    with store.start_run(store.experiment("tiny"), "train", "train") as run:
        run.checkpoint(model.network, CARD, {}, 0)
    given = ["--model", f"runs:/{run.id}", "--out", str(tmp_path / "out"), "--jobs", "1", "--precision", "float32"]
    return lambda *arguments: CliRunner().invoke(app, ["predict", *map(str, arguments), *given])


def recording(begin: str, hours: float, rate_hz: float = 15, seed: int = 0) -> pd.DataFrame:
    """A made-up recording that moves more and less every ten minutes, by instants."""
    generator = np.random.default_rng(seed)
    count = int(hours * 3600 * rate_hz)
    seconds = np.arange(count) / rate_hz
    motion = np.where(seconds // 600 % 2 == 0, 0.03, 0.4)[:, None]
    values = np.array([0, 0, 1]) + generator.normal(0, 1, (count, 3)) * motion
    table = pd.DataFrame(values.astype(np.float32), columns=["x", "y", "z"])
    table.insert(0, "time", np.datetime64(begin, "us") + np.rint(seconds * 1e6).astype("timedelta64[us]"))
    return table


def csv_of(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(out / name)


@pytest.mark.parametrize(("begin", "hours", "length"), [("2024-03-31T00:00", 23, 1380), ("2024-10-26T23:00", 25, 1500)])
def test_a_day_on_which_the_clocks_change(
    command: Callable[..., Result], tmp_path: Path, begin: str, hours: int, length: int
) -> None:
    table = recording(begin, hours)
    (tmp_path / "in").mkdir()
    table.assign(time=table["time"].dt.tz_localize("UTC")).to_parquet(tmp_path / "in" / "anna.parquet")
    # a device that was set to local time at the start, and does not follow
    local = table["time"] + pd.Timedelta(hours=0 if hours == 23 else 1)
    np.save(
        tmp_path / "in" / "carl.npy",
        np.rec.fromarrays([local.to_numpy(), *table[["x", "y", "z"]].to_numpy().T], names="time,x,y,z"),
    )
    result = command(tmp_path / "in", "--timezone", LONDON, "--min-days", "1")
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    people = csv_of(out, "people.csv").set_index("person")
    assert people.index.tolist() == ["anna", "carl"]
    assert (people["days"] == 1).all()
    assert people["flag_clock_change"].all()
    for name in people.index:
        day = csv_of(out, f"{name}.days.csv")
        assert day["day"].tolist() == ["2024-03-31" if hours == 23 else "2024-10-27"]
        assert day.iloc[0, 1:].sum() == pytest.approx(length)
        offsets = csv_of(out, f"{name}.hours.csv")["hour"].str[-6:].tolist()
        assert len(offsets) == hours
        assert sorted(set(offsets)) == ["+00:00", "+01:00"]
        known = people.loc[name, [f"total_minutes_{one}" for one in CLASSES]].sum()
        assert known == pytest.approx(length)
    pd.testing.assert_frame_equal(csv_of(out, "anna.csv"), csv_of(out, "carl.csv"))
    shift = 0 if hours == 23 else 3600 * 10**9
    clocks = {one.name: one.clock for one in read_predictions(out)}
    assert clocks == {"anna": Clock(LONDON), "carl": Clock(LONDON, shift, fixed=True)}
    assert people["end"].nunique() == 1


def test_a_week_with_a_gap_of_a_day_has_all_its_days_and_flags(command: Callable[..., Result], tmp_path: Path) -> None:
    parts = [recording("2024-05-06T00:00", 24, seed=1), recording("2024-05-08T00:00", 24.011, seed=2)]
    pd.concat(parts).to_parquet(tmp_path / "anna.parquet")
    result = command(tmp_path / "anna.parquet", "--min-days", "2", "--min-weekend-days", "1")
    assert result.exit_code == 0, result.output
    days = csv_of(tmp_path / "out", "days.csv")
    assert days["day"].tolist() == ["2024-05-06", "2024-05-07", "2024-05-08", "2024-05-09"]
    assert days["reason"].fillna("").tolist() == ["", "no data", "", "less than 10 h of wear"]
    (row,) = csv_of(tmp_path / "out", "people.csv").to_dict("records")
    assert (row["counts"], row["why_not"], row["counted_days"]) == (False, "fewer than 1 weekend day that count", 2)
    total = (
        sum(row[f"total_minutes_{one}"] for one in CLASSES) + row["total_nonwear_minutes"] + row["total_gap_minutes"]
    )
    assert total == pytest.approx(row["recording_minutes"])
    assert row["total_gap_minutes"] == pytest.approx(1440, abs=0.2)
    assert row["interrupts"] == 1
    assert row["minutes_rest_imputed"] == pytest.approx(row["minutes_rest"], abs=0.2)
    assert "0 of 1 person count; 1: fewer than 1 weekend day that count." in result.stdout.replace("\n", " ")


def test_every_column_is_documented(command: Callable[..., Result], tmp_path: Path) -> None:
    recording("2024-05-06T00:00", 0.5).to_parquet(tmp_path / "anna.parquet")
    assert command(tmp_path / "anna.parquet").exit_code == 0
    text = DOCS.read_text()
    people = csv_of(tmp_path / "out", "people.csv").columns
    plain = {re.sub("_(weekday|weekend)(?=_imputed$|$)", "", name) for name in people}
    days, others = (csv_of(tmp_path / "out", name).columns for name in ("days.csv", "recordings.csv"))
    for name in (*plain, *days, *others):
        for one in CLASSES:
            name = name.replace(f"_{one}", "_CLASS").replace(f"recorded-{one}(", "recorded-CLASS(")
        name = name.replace("day0-", "dayN-").replace("walking", "CLASS")
        assert f"`{name}`" in text, name
    parquet = pd.read_parquet(tmp_path / "out" / "people.parquet")
    assert parquet.columns.tolist() == people.tolist()


def test_other_rules_label_nothing_again_and_redraw_the_pages(
    command: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna_visit1", "anna_visit2", "ben"):
        recording("2024-05-06T00:00" if name != "anna_visit2" else "2024-05-07T00:00", 2).to_parquet(
            tmp_path / f"{name}.parquet"
        )
    files = sorted(tmp_path.glob("*.parquet"))
    assert command(*files, "--min-wear", "100min", "--min-days", "2").exit_code == 0
    out = tmp_path / "out"
    assert csv_of(out, "people.csv")[["person", "counts", "counted_days"]].to_numpy().tolist() == [
        ["anna", True, 2],
        ["ben", False, 1],
    ]
    assert "1 of 1 day counts" in (out / "ben.html").read_text()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(batch_prediction, "label", None)  # nothing is labelled again
    again = command(*files, "--min-wear", "150min", "--min-days", "2")
    assert again.exit_code == 0, again.output
    assert not csv_of(out, "people.csv")["counts"].any()
    assert "0 of 1 day count" in (out / "ben.html").read_text()
    assert command(*files, "--min-wear", "100min", "--min-days", "2").exit_code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    # a command for some of them has the others in its tables
    (tmp_path / "people.csv").write_text("recording,participant\nben,Ben\n")
    some = command(tmp_path / "ben.parquet", "--min-wear", "100min", "--participants", tmp_path / "people.csv")
    assert "The tables of people also have 2 recordings of earlier commands." in some.stdout.replace("\n", " ")
    assert csv_of(out, "people.csv")["person"].tolist() == ["Ben", "anna"]


def test_people_are_found_over_the_recordings_of_all_commands(command: Callable[..., Result], tmp_path: Path) -> None:
    hours = {"p1_visit1": "2024-05-06T00:00", "p1_visit2": "2024-05-07T00:00", "q": "2024-05-06T00:00"}
    first, second, other = (tmp_path / f"{name}.parquet" for name in hours)
    for path, begin in zip((first, second, other), hours.values(), strict=True):
        recording(begin, 0.1).to_parquet(path)
    table = tmp_path / "p.csv"
    table.write_text("recording,participant\np1_visit1,Anna\np1_visit2,Anna\nq,Bert\n")

    def people() -> list[list[str]]:
        found: list[list[str]] = csv_of(tmp_path / "out", "people.csv")[["person", "recordings"]].to_numpy().tolist()
        return found

    assert command(first).exit_code == 0
    assert people() == [["p1_visit1", "p1_visit1"]]
    result = command(second)
    assert people() == [["p1", "p1_visit1; p1_visit2"]]
    assert "The tables of people also have 1 recording of earlier commands." in result.stdout.replace("\n", " ")
    assert "p1_visit1, p1_visit2 are taken as recordings of one participant, p1" in result.stderr.replace("\n", " ")
    result = command(other, "--participants", table)
    assert people() == [["Anna", "p1_visit1; p1_visit2"], ["Bert", "q"]]
    assert "without a file" not in result.stderr
    assert "no line" not in result.stderr
    assert command(second).exit_code == 0  # without the table, those whom it declared are kept
    assert people() == [["Anna", "p1_visit1; p1_visit2"], ["Bert", "q"]]
    assert "do not have" not in result.stderr
    result = command(second, "--overwrite", "--no-smooth")
    assert people() == [["p1_visit2", "p1_visit2"]]
    assert "the tables of people do not have 2 recordings" in result.stderr
    assert "another version of sslwear labelled: p1_visit1, q. To have them" in result.stderr
    assert command(second, "--overwrite", "--participants", table).exit_code == 0
    table.write_text("recording,participant\np1_visit1,Carl\n")
    assert command(second, "--participants", table).exit_code == 0
    assert people() == [["Anna", "p1_visit2"], ["Bert", "q"], ["Carl", "p1_visit1"]]


def test_bad_files_have_rows_and_reasons_and_never_end_the_command(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    recording("2024-05-06T00:00", 0.2).to_parquet(folder / "good.parquet")
    recording("2024-05-06T00:00", 0.2, rate_hz=10).to_parquet(folder / "slow.parquet")
    recording("2024-05-06T00:00", 0.001).to_parquet(folder / "short.parquet")
    (folder / "empty.csv").touch()
    (folder / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    (folder / "notes.txt").touch()
    (folder / ".hidden.csv").touch()
    result = command(folder)
    assert result.exit_code == 1
    text = result.stdout.replace("\n", " ")
    for said in (
        "1 of 5 recordings labelled",
        "1: empty",
        "1: rate too low",
        "1: shorter than a window",
        "1: cannot be read",
    ):
        assert said in text
    assert "other endings: notes.txt." in text
    people = csv_of(tmp_path / "out", "people.csv").set_index("person")
    assert people["why_not"].to_dict() == {
        "broken": "broken: cannot be read",
        "empty": "empty: empty",
        "good": "fewer than 3 days that count",
        "short": "short: shorter than a window",
        "slow": "slow: rate too low",
    }
    page = (tmp_path / "out" / "people.html").read_text()
    assert "slow.parquet" in page
    assert 'href="good.html"' in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_no_label_at_all_writes_no_tables(command: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert command(tmp_path / "empty.csv").exit_code == 1
    assert not list((tmp_path / "out").glob("people.*"))


def test_tables_that_are_not_of_a_prediction_are_not_replaced(command: Callable[..., Result], tmp_path: Path) -> None:
    recording("2024-05-06T00:00", 0.2).to_parquet(tmp_path / "anna.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "people.csv").write_text("mine")
    result = command(tmp_path / "anna.parquet")
    assert "people.csv exists already. Give another --out, or replace it with --overwrite" in result.stderr
    assert (tmp_path / "out" / "people.csv").read_text() == "mine"
    assert command(tmp_path / "anna.parquet", "--overwrite").exit_code == 0
    assert (tmp_path / "out" / "people.csv").read_text() != "mine"
    recording("2024-05-06T00:00", 0.2).to_csv(tmp_path / "people.csv", index=False)
    assert "would both write" in command(tmp_path / "people.csv").stderr


def test_options_that_cannot_be_are_refused_in_one_sentence(command: Callable[..., Result], tmp_path: Path) -> None:
    recording("2024-05-06T00:00", 0.01).to_parquet(tmp_path / "anna.parquet")
    for arguments, said in (
        (["--min-wear", "long"], "--min-wear long is not a length of time"),
        (["--min-wear", "5"], "--min-wear 5 is not a length of time. Write e.g. 10h or 600min"),
        (["--min-wear", "25h"], "--min-wear 25 is not from 0 to 24 hours"),
        (["--timezone", "Mars/Olympus"], "--timezone Mars/Olympus is not in the time zone database"),
        (["--columns", "a,b"], "--columns a,b is not four different names"),
        (["--nonwear-threshold", "0"], "--nonwear-threshold 0 is not from 0 to 1000 mg"),
        (["--participants", str(tmp_path / "none.csv")], "none.csv"),
    ):
        result = command(tmp_path / "anna.parquet", *arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.output
        assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_recording_whose_process_is_killed_does_not_end_the_others(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool in this process raises what a killed process makes it raise."""
    files = []
    for name in ("anna", "bad", "carl", "dora"):
        recording("2024-05-06T00:00", 0.05).to_parquet(tmp_path / f"{name}.parquet")
        files.append(tmp_path / f"{name}.parquet")
    calls: list[list[str]] = []

    def run(function: Any, tasks: Any, jobs: int, initializer: Any, initargs: Any, on_poll: Any) -> Any:
        calls.append([task[0] for task in tasks])
        initializer(*initargs)
        for task in tasks:
            if task[0] == "bad":
                raise BrokenProcessPool("killed")
            yield function(*task)

    monkeypatch.setattr(batch_prediction.processes, "run", run)
    found = {one.name: one for one in predict(files, model, Options(tmp_path / "out"), jobs=2)}
    assert {name: one.reason for name, one in found.items()} == {
        "anna": None,
        "bad": "its process was killed",
        "carl": None,
        "dora": None,
    }
    assert "bad.parquet: its process was killed, probably for lack of memory" in str(found["bad"].error)
    assert calls == [["anna", "bad", "carl", "dora"], ["bad"], ["carl"], ["dora"]]


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_a_real_recording_tiled_to_a_week(model: Model, shared_recordings: Path, tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("there is no Java on this machine")
    with open_recording(shared_recordings / "recordings" / "axivity_3h.cwa.gz", tmp_path) as real:
        values = np.concatenate([piece.samples for piece in real.pieces()])[::6]
    count = 7 * 86400 * 15
    table = pd.DataFrame(np.resize(values, (count, 3)), columns=["x", "y", "z"])
    table.insert(
        0,
        "time",
        np.datetime64("2024-05-06T09:00", "us") + np.rint(np.arange(count) * 1e6 / 15).astype("timedelta64[us]"),
    )
    table.to_parquet(tmp_path / "anna.parquet")
    options = Options(tmp_path / "out")
    outcomes = list(predict([tmp_path / "anna.parquet"], model, options))
    assert outcomes[0].error is None, outcomes
    (anna,) = write_cohort(outcomes, {}, CARD, "m", "1", options)
    row = anna.row
    assert (row["days"], row["counts"]) == (8, True)
    total = row["total_wear_minutes"] + row["total_nonwear_minutes"] + row["total_gap_minutes"]
    assert total == pytest.approx(7 * 1440)
    assert row["recording_minutes"] == pytest.approx(7 * 1440)
    assert sum(row[f"minutes_{one}_imputed"] for one in CLASSES) == pytest.approx(1440) or row["flag_not_imputed"]
    for name in [*COHORT.values(), *(f"anna{ending}" for ending in ENDINGS.values())]:
        assert (tmp_path / "out" / name).stat().st_size > 0
