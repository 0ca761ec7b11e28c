"""New recordings are labelled by the command: tables, summaries, pictures, refusals, processes."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.data.devices import DeviceFiles
from sslwear.deployment.prediction import batch_prediction, record
from sslwear.deployment.prediction.batch_prediction import predict
from sslwear.deployment.prediction.files import ENDINGS, RECORD, Options
from sslwear.deployment.prediction.recording_prediction import Labelled, label
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from sslwear.encoders.distribution_shift import STATISTICS
from sslwear.errors import DataError, SettingsError
from sslwear.evaluation.smoothing import HiddenMarkovModel, smooth
from sslwear.tracking import HOME_VARIABLE, Store
from tests.commands import Command
from tests.cutting import cut_recording

CLASSES = ("rest", "walk", "run")
CARD = Card("harnet5", 150, 30.0, "g", CLASSES, "small", "0" * 64, None, reference_ranges={})
NOON = np.datetime64("2024-05-01T12:00", "ns")


@pytest.fixture(scope="module")
def model() -> Model:
    """A network with random weights, which tells windows apart all the same."""
    torch.manual_seed(3)
    body = network(CARD)
    with torch.no_grad():
        body.classifier.linear2.weight *= 30
    return Model(body, CARD)


def write_csv(path: Path, minutes: float = 5, rate_hz: int = 25, gap: tuple[int, int] | None = None) -> Path:
    """A made-up recording from noon that moves more and more; some samples may be missing."""
    count = int(minutes * 60 * rate_hz)
    random = np.random.default_rng(len(path.name))
    samples = np.array([0, 0, 1]) + random.normal(0, 1, (count, 3)) * np.linspace(0.02, 0.5, count)[:, None]
    table = pd.DataFrame(samples.round(4), columns=["x", "y", "z"])
    table.insert(0, "time", NOON + np.rint(np.arange(count) * 1e6 / rate_hz).astype("timedelta64[us]"))
    (table.drop(index=range(*gap)) if gap else table).to_csv(path, index=False)
    return path


def expected(file: Path, model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, wear and probabilities of windows side by side of the whole recording."""
    source = DeviceFiles([file])
    (recording,) = source.recordings(source.participants()[0])
    cut = cut_recording(recording, 30, 5, 5)
    assert recording.start is not None
    start = recording.start + np.rint(cut.start * 1e3).astype("timedelta64[ms]")
    return start, cut.worn, model.probabilities(cut.samples)


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(("format_", "bout_s"), [("csv", None), ("parquet", 30.0)])
def test_the_tables_hold_each_window_of_the_recording(
    model: Model, tmp_path: Path, format_: str, bout_s: float | None
) -> None:
    file = write_csv(tmp_path / "anna.csv", 3, gap=(2000, 2400))
    options = Options(tmp_path / "out", format_, bout_s)
    (outcome,) = predict([file], model, options)
    start, _, p = expected(file, model)
    assert (outcome.name, outcome.windows, outcome.nonwear, outcome.error) == ("anna", len(start), 0, None)
    read = pd.read_parquet if format_ == "parquet" else pd.read_csv
    table = read(tmp_path / "out" / f"anna.{format_}")
    unsmoothed = [] if bout_s is None else ["unsmoothed_label"]
    assert table.columns.tolist() == ["time", "worn", "label", *unsmoothed, "p_rest", "p_walk", "p_run"]
    assert (pd.to_datetime(table["time"]).to_numpy() == start).all()
    assert table["worn"].all()
    np.testing.assert_allclose(table[["p_rest", "p_walk", "p_run"]], p, atol=1e-4)
    codes = p.argmax(axis=1)
    if bout_s is not None:
        begins = np.diff(start, prepend=start[0]) > np.timedelta64(5, "s")
        assert begins.sum() == 1
        codes = smooth(p, HiddenMarkovModel.from_bouts(3, 5, bout_s), begins)
        assert (codes != p.argmax(axis=1)).any()
        assert table["unsmoothed_label"].tolist() == [CLASSES[code] for code in p.argmax(axis=1)]
    assert table["label"].tolist() == [CLASSES[code] for code in codes]
    assert len(set(codes)) > 1 or bout_s is not None
    days, hours = (pd.read_csv(tmp_path / "out" / f"anna.{unit}.csv") for unit in ("days", "hours"))
    assert days["day"].tolist() == ["2024-05-01"]
    assert hours["hour"].tolist() == ["2024-05-01 12:00:00"]
    for table_, whole in ((days, 1440), (hours, 60)):
        assert table_[[f"minutes_{name}" for name in CLASSES]].iloc[0].tolist() == pytest.approx(
            [(codes == i).sum() * 5 / 60 for i in range(3)], abs=1e-3
        )
        assert table_["missing_minutes"].item() == pytest.approx(whole - len(codes) * 5 / 60, abs=1e-3)
    picture = (tmp_path / "out" / "anna.png").read_bytes()
    assert picture[:4] == b"\x89PNG"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [f"anna.{format_}", *(f"anna{ending}" for ending in (*ENDINGS.values(), RECORD))]
    )


def test_windows_not_worn_have_no_label_and_are_counted(model: Model, tmp_path: Path) -> None:
    count = 20 * 60 * 125
    samples = np.array([0, 0, 1]) + np.random.default_rng(0).normal(0, 0.2, (count, 3))
    samples[20 * 60 * 10 : 20 * 60 * 115] = [0, 0, 1]
    table = pd.DataFrame(samples.round(4), columns=["x", "y", "z"])
    table.insert(0, "time", NOON + (np.arange(count) * 50).astype("timedelta64[ms]"))
    table.to_csv(tmp_path / "anna.csv", index=False)
    (outcome,) = predict([tmp_path / "anna.csv"], model, Options(tmp_path / "out"))
    found = pd.read_csv(tmp_path / "out" / "anna.csv")
    off = ~found["worn"]
    assert outcome.nonwear == off.sum()
    assert abs(off.sum() - 105 * 12) <= 3
    assert found.loc[off, ["label", "p_rest", "p_walk", "p_run"]].isna().all(axis=None)
    assert found.loc[~off, ["label", "p_rest"]].notna().all(axis=None)
    hours = pd.read_csv(tmp_path / "out" / "anna.hours.csv")
    assert hours["nonwear_minutes"].sum() == pytest.approx(off.sum() / 12, abs=0.01)


def test_bad_files_are_named_and_the_others_are_labelled(model: Model, tmp_path: Path) -> None:
    good, slow = write_csv(tmp_path / "good.csv", 1), write_csv(tmp_path / "slow.csv", 1, rate_hz=14)
    short = write_csv(tmp_path / "short.csv", 0.05)
    files = [good, slow, short, tmp_path / "absent.csv"]
    found = {outcome.name: outcome for outcome in predict(files, model, Options(tmp_path / "out"))}
    assert found["good"].error is None
    assert "slow.csv has 14 samples a second, but windows at 30 Hz need at least 15" in str(found["slow"].error)
    assert "short.csv has no stretch without a gap that is as long as a window, 5 s" in str(found["short"].error)
    assert "there is no file" in str(found["absent"].error)
    made = ["good.csv", *(f"good{ending}" for ending in (*ENDINGS.values(), RECORD))]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(made)
    assert [found[name].reason for name in ("good", "slow", "short", "absent")] == [
        None,
        "rate too low",
        "shorter than a window",
        "missing",
    ]


def test_half_of_the_models_rate_is_enough(model: Model, tmp_path: Path) -> None:
    (outcome,) = predict([write_csv(tmp_path / "anna.csv", 1, rate_hz=15)], model, Options(tmp_path / "out"))
    # the twelfth window counts, although the last step of 66,667 microseconds is short of it
    assert (outcome.error, outcome.windows) == (None, 12)


def test_an_unlikely_recording_is_warned_of(model: Model, tmp_path: Path) -> None:
    usual = dict.fromkeys(STATISTICS, (-5.0, 5.0)) | {"motion": (0.0, 0.01)}
    strict = Model(model.network, replace(CARD, reference_ranges=usual))
    file = write_csv(tmp_path / "anna.csv", 1)
    (outcome,) = predict([file], strict, Options(tmp_path / "out"))
    assert outcome.warning is not None
    assert "of the windows are outside of the range of the training data: motion was 0.00 to" in outcome.warning
    (outcome,) = predict([file], model, Options(tmp_path / "out", overwrite=True))
    assert outcome.warning is None


def test_nothing_is_written_over_unless_asked(model: Model, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "anna.csv", 1)
    out = tmp_path / "out"
    list(predict([file], model, Options(out, "parquet")))
    with pytest.raises(DataError, match=r"anna\.days\.csv exists already\. .* or replace it with --overwrite"):
        list(predict([file], model, Options(out)))
    assert not (out / "anna.csv").exists()
    (out / "anna.days.csv").write_text("old")
    list(predict([file], model, Options(out, overwrite=True)))
    assert (out / "anna.days.csv").read_text().startswith("day,")
    assert not (out / "anna.parquet").exists()  # it would be taken for this call's
    with pytest.raises(DataError, match=r"anna\.csv is one of the recordings and would be overwritten"):
        list(predict([file], model, Options(tmp_path, overwrite=True)))
    write_csv(tmp_path / "anna.days.csv", 1)
    with pytest.raises(DataError, match=r"'anna' and 'anna\.days' would both write .*anna\.days\.csv\. Rename"):
        list(predict([file, tmp_path / "anna.days.csv"], model, Options(out, overwrite=True)))
    (tmp_path / "other").mkdir()
    write_csv(tmp_path / "other" / "anna.csv", 1)
    with pytest.raises(DataError, match="would both be the recording 'anna'"):
        list(predict([file, tmp_path / "other" / "anna.csv"], model, Options(out, overwrite=True)))


def test_a_repeated_command_goes_on_where_the_killed_one_ended(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_csv(tmp_path / f"{name}.csv", 0.5) for name in ("anna", "ben", "carl")]
    out = tmp_path / "out"
    (first,) = predict(files[:1], model, Options(out))
    finished = (out / "anna.csv").stat().st_mtime_ns

    def killed(found: Labelled, place: Path, options: Options, about: list[str]) -> None:
        options.outputs(found.windows.name)["picture"].write_text("the first of four files")
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(batch_prediction, "write_outputs", killed)
        with pytest.raises(KeyboardInterrupt):
            list(predict(files, model, Options(out)))
    shares = []
    outcomes = {one.name: one for one in predict(files, model, Options(out), 1, lambda *share: shares.append(share))}
    assert outcomes["anna"] == replace(first, note=f"{first.note}; finished earlier")
    assert ("anna", 1.0) in shares
    assert (out / "anna.csv").stat().st_mtime_ns == finished
    assert (out / "ben.png").read_bytes() != b"the first of four files"
    assert (out / "ben.csv").is_file()
    assert (out / "carl.csv").is_file()


def test_only_the_same_recording_model_and_options_count_as_finished(model: Model, tmp_path: Path) -> None:
    file, out = write_csv(tmp_path / "anna.csv", 0.5), tmp_path / "out"
    list(predict([file], model, Options(out)))
    torch.manual_seed(4)
    for other, options in ((model, Options(out, bout_s=30.0)), (Model(network(CARD), CARD), Options(out))):
        with pytest.raises(DataError, match=r"anna\.csv exists already"):
            list(predict([file], other, options))
    (out / "anna.hours.csv").unlink()
    (outcome,) = predict([file], model, Options(out))
    assert "finished earlier" not in outcome.note
    assert (out / "anna.hours.csv").is_file()
    write_csv(file, 1)
    with pytest.raises(DataError, match=r"anna\.csv exists already"):
        list(predict([file], model, Options(out)))
    (outcome,) = predict([file], model, Options(out, overwrite=True))
    assert outcome.windows == len(pd.read_csv(out / "anna.csv"))
    (outcome,) = predict([file], model, Options(out))
    assert outcome.note.endswith("; finished earlier")


def test_a_file_that_grew_while_it_was_labelled_does_not_count_as_finished(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = write_csv(tmp_path / "anna.csv", 0.5), tmp_path / "out"

    def grown(*arguments: Any) -> Labelled:
        found = label(*arguments)
        write_csv(file, 1)
        return found

    with monkeypatch.context() as context:
        context.setattr(batch_prediction, "label", grown)
        list(predict([file], model, Options(out)))
    with pytest.raises(DataError, match=r"anna\.csv exists already"):
        list(predict([file], model, Options(out)))


def test_a_finished_recording_that_cannot_be_read_now_is_named(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = write_csv(tmp_path / "anna.csv", 0.5), tmp_path / "out"
    list(predict([file], model, Options(out)))

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(record, "sha256", lambda path: refused() if path == file else "of the model")
    (outcome,) = predict([file], model, Options(out))
    assert outcome.error == f"{file} cannot be read (Permission denied); make it readable"


def test_options_that_cannot_be_are_refused_before_anything_is_read(model: Model, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--format: there is no format 'xlsx'\. Write csv or parquet"):
        Options(tmp_path, "xlsx")
    with pytest.raises(SettingsError, match=r"--bout: a bout of 0\.05 minutes is not longer than a window of 5 s"):
        list(predict([tmp_path / "anna.csv"], model, Options(tmp_path / "out", bout_s=3)))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write to .*file \(.*\)\. Give another --out"):
        list(predict([tmp_path / "anna.csv"], model, Options(tmp_path / "file")))


def test_two_commands_do_not_write_to_one_folder(model: Model, tmp_path: Path) -> None:
    files = [write_csv(tmp_path / f"{name}.csv", 0.5) for name in ("anna", "ben")]
    (tmp_path / "out" / ".sslwear-predict").mkdir(parents=True)
    (tmp_path / "out" / ".sslwear-predict" / "left by one that was killed").touch()
    first = predict(files, model, Options(tmp_path / "out"))
    next(first)
    with pytest.raises(DataError, match="another process writes predictions to"):
        list(predict(files, model, Options(tmp_path / "out", overwrite=True)))
    assert len(list(first)) == 1
    assert [path.name for path in (tmp_path / "out").glob(".*")] == []


def test_a_full_disk_is_the_outcome_of_a_recording(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batch_prediction, "write_outputs", full)
    (outcome,) = predict([write_csv(tmp_path / "anna.csv", 0.5)], model, Options(tmp_path / "out"))
    assert outcome.error == f"{tmp_path / 'anna.csv'}: cannot write samples or results (No space left on device)"


@pytest.fixture
def reference(store: Store, model: Model, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that has the model, in the store that the command uses."""
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    with store.start_run(store.experiment("tiny"), "train", "train") as run:
        run.checkpoint(model.network, CARD, {}, 0)
    return f"runs:/{run.id}"


@pytest.fixture
def command(reference: str, tmp_path: Path) -> Callable[..., Result]:
    """The command within this process."""
    return lambda *arguments: CliRunner().invoke(
        app, ["predict", *map(str, arguments), "--model", reference, "--out", str(tmp_path / "out")]
    )


def test_the_command_names_what_it_left_out_and_fails(command: Callable[..., Result], tmp_path: Path) -> None:
    good = write_csv(tmp_path / "good.csv", 1)
    result = command(good, tmp_path / "absent.csv", "--jobs", "1")
    assert result.exit_code == 1
    assert result.stderr == (
        f"sslwear: absent was left out: there is no file {tmp_path / 'absent.csv'}; give the path of a recording\n"
    )
    text = result.stdout.replace("\n", " ")
    endings = ", ".join([".csv", *ENDINGS.values()])
    assert f"Files for each recording in {tmp_path / 'out'}: {endings}." in text
    assert "1 of 2 recordings labelled; 1: missing." in text
    assert command(good, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--bout", "2"], "--bout needs --smooth"),
        (["--device", "tpu"], "--device tpu is unknown. Write auto, cpu, mps, cuda, or cuda:N"),
        (["--precision", "int8"], "--precision int8 is unknown. Write one of auto, float32, bf16"),
        (["--format", "xlsx"], "--format: there is no format 'xlsx'. Write csv or parquet"),
        (["--model", "runs:/0123456789abcdef0123456789abcdef"], "runs:/0123456789abcdef0123456789abcdef"),
    ],
)
def test_mistakes_are_one_sentence(
    command: Callable[..., Result], tmp_path: Path, arguments: list[str], reason: str
) -> None:
    file = write_csv(tmp_path / "anna.csv", 0.1)
    if "--model" in arguments:
        given = CliRunner().invoke(app, ["predict", str(file), "--out", str(tmp_path / "out"), *arguments])
    else:
        given = command(file, *arguments)
    assert (given.exit_code, given.stderr.count("\n")) == (1, 1)
    assert reason in given.stderr
    assert not (tmp_path / "out").exists()


def test_processes_side_by_side_give_the_same_and_share_the_cores(
    reference: str, model: Model, tmp_path: Path, store: Store
) -> None:
    files = [write_csv(tmp_path / f"P{i}.csv", 1) for i in (10, 9, 1)]
    (tmp_path / "broken.csv").write_text("time,x,y,z\n")
    arguments = [*map(str, files), str(tmp_path / "broken.csv"), "--model", reference, "--jobs", "2"]
    arguments += ["--precision", "float32"]
    done = Command("predict", *arguments, "--out", str(tmp_path / "two"))
    out, err = done.communicate(timeout=300)
    assert done.returncode == 1
    assert err.startswith(f"sslwear: broken was left out: {tmp_path / 'broken.csv'} holds no samples")
    assert err.count("\n") == 1
    order = [out.index(f"\n{name} ") for name in ("P1", "P9", "P10", "broken")]
    assert order == sorted(order)
    list(predict(files, model, Options(tmp_path / "one")))
    for name in ("P1", "P9", "P10"):
        one, two = (pd.read_csv(tmp_path / where / f"{name}.csv") for where in ("one", "two"))
        pd.testing.assert_frame_equal(one, two, atol=2e-4)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_all_processes_end_with_the_command(reference: str, tmp_path: Path, number: signal.Signals) -> None:
    files = [write_csv(tmp_path / f"P{i}.csv", 20) for i in range(3)]
    out = tmp_path / "out"
    process = Command("predict", *map(str, files), "--model", reference, "--jobs", "2", "--out", str(out))
    try:
        while len(children(process.pid)) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said == f"sslwear: interrupted; finished recordings are in {out}\n"
        assert not list(out.glob(".*"))
    for _ in range(200):
        if not (left := in_session(process.pid)):
            break
        time.sleep(0.1)
    assert left == []


def children(pid: int) -> list[str]:
    """Processes below one."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.split()


def in_session(pid: int) -> list[str]:
    """Processes that one and those below it have left."""
    listed = subprocess.run(["ps", "-o", "args=", "-s", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.splitlines()


def test_a_real_recording_is_labelled(reference: str, model: Model, shared_recordings: Path, tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("there is no Java on this machine")
    with gzip.open(shared_recordings / "recordings" / "axivity_3h.cwa.gz") as packed:
        (tmp_path / "anna.cwa").write_bytes(packed.read(1024 + 512 * 600))
    file = tmp_path / "anna.cwa"
    options = ["--model", reference, "--out", str(tmp_path / "out"), "--precision", "float32"]
    result = CliRunner().invoke(app, ["predict", str(file), *options])
    assert result.exit_code == 0, result.output
    assert "Axivity, 100 Hz" in result.stdout
    start, _, p = expected(file, model)
    table = pd.read_csv(tmp_path / "out" / "anna.csv")
    assert table["time"].iloc[0] == "2023-06-08 12:21:04.510"
    assert (pd.to_datetime(table["time"]).to_numpy() == start).all()
    np.testing.assert_allclose(table[["p_rest", "p_walk", "p_run"]], p, atol=1e-4)


def test_the_command_labels_windows_in_arrays(command: Callable[..., Result], tmp_path: Path) -> None:
    windows = np.random.default_rng(0).normal([0, 0, 1], 0.1, (5, CARD.window_samples, 3)).astype(np.float32)
    np.save(tmp_path / "X.npy", windows)
    recording = write_csv(tmp_path / "good.csv", 1)
    result = command(tmp_path / "X.npy", recording, "--jobs", "1")
    assert (result.exit_code, result.stderr.count("was left out")) == (0, 0)
    assert f"Labels of the windows: {tmp_path / 'out' / 'X.csv'}." in result.stdout.replace("\n", "")
    assert len(pd.read_csv(tmp_path / "out" / "X.csv")) == 5
    assert (tmp_path / "out" / "good.csv").is_file()
    assert "--smooth needs recordings" in command(tmp_path / "X.npy", "--smooth", "--overwrite").stderr


def test_the_folder_of_a_data_set_stands_for_its_windows(command: Callable[..., Result], tmp_path: Path) -> None:
    count, folder = 5, tmp_path / "data"
    folder.mkdir()
    windows = np.random.default_rng(0).normal([0, 0, 1], 0.1, (count, CARD.window_samples, 3)).astype(np.float32)
    start = NOON + np.arange(count) * np.timedelta64(5, "s")
    for name, array in {"X": windows, "Y": np.zeros(count, int), "pid": np.full(count, "anna"), "T": start}.items():
        np.save(folder / f"{name}.npy", array)
    result = command(folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Not read" not in result.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["X.csv"]
    assert pd.read_csv(tmp_path / "out" / "X.csv")["participant"].tolist() == ["anna"] * count


def test_the_name_of_a_source_stands_for_the_folder_of_its_data_set(
    command: Callable[..., Result], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = store.open_dataset("smartwatch").folder
    refused = [command(given).stderr for given in ("smartwatch", folder)]
    assert refused[0] == refused[1]
    assert "the windows have shape (770, 300, 3). This model takes (N, 150, 3)" in refused[0]
    assert "data: adl must be prepared first, with: sslwear data prepare adl" in command("adl").stderr
    (tmp_path / "smartwatch").mkdir()
    assert command("smartwatch").stderr.startswith("sslwear: smartwatch has no recordings. ")


@pytest.mark.usefixtures("drawn")
def test_a_clock_that_is_set_back_costs_the_times_that_occur_twice(model: Model, tmp_path: Path) -> None:
    outcomes = {}
    for name, seconds in (("anna", 7), ("ben", 120)):
        table = pd.read_csv(write_csv(tmp_path / f"{name}.csv"), parse_dates=["time"])
        table.loc[3750:, "time"] -= pd.Timedelta(seconds=seconds)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        (outcomes[name],) = predict([tmp_path / f"{name}.csv"], model, Options(tmp_path / "out"))
    assert "14 s cut (times that occur twice" in outcomes["anna"].note
    times = pd.read_csv(tmp_path / "out" / "anna.csv", parse_dates=["time"])["time"]
    assert times.diff().min() >= pd.Timedelta(seconds=5)
    assert len(times) == 2 * (143 // 5)
    assert outcomes["ben"].error is not None
    assert "ben.csv has times that cannot be right: 240 s cut (times that occur twice" in outcomes["ben"].error
