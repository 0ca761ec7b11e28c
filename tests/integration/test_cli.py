"""The ``sslwear`` command: help, output, errors, interruption and servers."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import to_yaml
from sslwear.data.splits import hold_out
from sslwear.tracking import Store
from tests.commands import Command
from tests.conftest import store_at
from tests.integration.conftest import statuses

RUNNER = CliRunner()
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store that the command uses."""
    monkeypatch.setenv("SSLWEAR_HOME", str(store.home))
    return store.home


@pytest.fixture
def file(content: dict[str, Any], tmp_path: Path) -> Path:
    """A study file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(to_yaml(content))
    return path


def call(*arguments: str | Path) -> Any:
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: str | Path) -> str:
    """The error line of a call that fails."""
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert result.stderr.startswith("sslwear: ")
    assert result.stderr.count("\n") == 1
    return str(result.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["study", "train", "pretrain", "data", "pretext", "rerun", "ui", "dashboard"]),
        (("study",), ["run", "worker", "show", "check", "list", "compare"]),
        (("study", "run"), ["FILE", "--trials", "--set", "--workers"]),
        (("study", "worker"), ["FILE", "--trials", "--set", "--storage", "--tracking"]),
        (("evaluate",), ["FILE", "--set", "--workers", "--join"]),
        (("train",), ["FILE", "--set"]),
        (("pretrain",), ["FILE"]),
        (("pretext",), ["list", "show"]),
        (("pretext", "show"), ["NAME", "--out", "--data"]),
        (("data", "describe"), ["DATA"]),
        (("ui",), ["--port"]),
    ],
)
def test_help_lists_commands_and_options(arguments: tuple[str, ...], words: list[str]) -> None:
    result = call(*arguments, "--help")
    assert result.exit_code == 0
    for word in words:
        assert word in result.output


def test_help_does_not_wait_for_heavy_libraries() -> None:
    code = (
        "import sys, sslwear.cli.app; print([m for m in ('torch', 'mlflow', 'optuna', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(home: Path, file: Path, number: str) -> None:
    assert refusal("study", "run", file, "--workers", number) == (
        f"sslwear: --workers is {number!r}. Write a number from 1 on, or auto\n"
    )


def test_an_address_of_an_option_is_checked_like_one_of_the_environment(
    home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SSLWEAR_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, "")  # and put back, whatever the command sets
    assert "SSLWEAR_STORAGE is not the address" in refusal("study", "worker", file, "--storage", "journal:/tmp/x")
    assert "MLflow no longer stores runs in plain folders" in refusal(
        "study", "worker", file, "--storage", "", "--tracking", "mlruns"
    )


def test_a_study_is_run_and_shown(home: Path, file: Path) -> None:
    ran = call("study", "run", file, "--trials", "2", "--set", "training.max_epochs=1")
    assert ran.exit_code == 0, ran.output
    shown = call("study", "show", "tiny")
    assert shown.exit_code == 0
    for output in (ran.stdout, shown.stdout):
        assert re.search(r"Trial \d .*was selected\.", output)
        assert "Test scores, means over participants (test evaluations: 1): kappa " in output
        assert re.search(r"Its estimated mean kappa is -?[01]\.\d{3}, from \d participants?, too few for an", output)
        assert "make ui" in output
        assert len([line for line in output.splitlines() if "  finished  " in line]) == 2
    lines, table = ran.stdout[: -len(shown.stdout)].splitlines(), ran.stdout[-len(shown.stdout) :]
    assert table == shown.stdout
    assert [line.split()[0] for line in lines if line.endswith(": started")] == ["#0", "#1"]
    ended = [line for line in lines if re.search(r": finished, -?[01]\.", line)]
    assert re.search(r" \(1 of 2, about \d+ s left\)$", ended[0])
    assert ended[1].endswith(" (2 of 2)")


def test_training_once_and_starting_from_its_weights(home: Path, file: Path) -> None:
    first = call("train", file)
    assert first.exit_code == 0, first.output
    assert "Means over the validation participants, epoch " in first.stdout
    run = next(word for word in first.stdout.split() if word.startswith("runs:/"))
    second = call("train", file, "--set", f"weights={run}")
    assert second.exit_code == 0, second.output
    assert statuses(store_at(home))["train"] == ["FINISHED", "FINISHED"]
    assert refusal("train", file, "--set", "weights=runs:/0123").startswith(
        "sslwear: weights: runs:/0123 has no sslwear checkpoint"
    )
    assert "does not fit harnet10" in refusal("train", file, "--set", f"weights={run}", "--set", "encoder=harnet10")


def test_pre_training_is_done_once(home: Path, file: Path) -> None:
    first = call("pretrain", file, "--set", "training.pretext=reverse")
    second = call("pretrain", file, "--set", "training.pretext=reverse")
    assert first.exit_code == second.exit_code == 0
    assert first.stdout.splitlines()[-3:] == second.stdout.splitlines()
    started, epoch, *_ = first.stdout.splitlines()
    assert started == "pretext reverse: started, at most 1 epoch"
    assert epoch.startswith("pretext reverse: epoch 1, training loss ")
    assert "held-out participants: accuracy 0." in first.stdout
    assert ", chance 0." in first.stdout
    assert statuses(store_at(home))["pretraining"] == ["FINISHED"]
    other = call("pretrain", file, "--set", "training.pretext=reverse", "--set", "seed=1")
    assert other.exit_code == 0
    assert statuses(store_at(home))["pretraining"] == ["FINISHED", "FINISHED"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["study.x=1"], "study has no keys below it"),
        (["trainig.tuning=all"], "unknown key 'trainig'. Did you mean training? Allowed here are study, data"),
        (
            ["training.tuning=layer9"],
            "training.tuning: 'layer9' names no blocks of cnn5. Its blocks are layer1 to layer5",
        ),
        (["search.tuning=[all, heads]"], "search.tuning: there is no tuning strategy 'heads'. Write auto_rgn"),
        (["search.tuning=[all, layer1-5]"], "search.tuning: 'all' is given twice"),
        (["encoder=harnet11"], "encoder: there is no 'harnet11'; choose one of cnn10, cnn30, cnn5, harnet10"),
        (
            ["search.pretext=[none, rev]"],
            "search.pretext: there is no 'rev'; choose one of none, activities, contrastive",
        ),
        (["training.head=deep"], "training.head: input should be 'published' or 'linear'"),
        (["training.pretext=rev"], "training.pretext: there is no 'rev'; choose one of none, activities, contrastive"),
        (["data=nowhere"], "data: 'nowhere' is neither a directory nor a source with included recordings"),
        (["weights=nowhere.mdl"], "weights: there is no file nowhere.mdl"),
        (["weights=models:/nobody@champion"], "weights: models:/nobody@champion has no sslwear checkpoint"),
        (["device=cuda:9"], "device: this machine has no cuda:9. Write auto or cpu"),
        (["split.validation=0.9"], "cannot be split with test 0.2 and validation 0.9"),
    ],
)
def test_a_mistake_in_a_study_is_one_sentence(home: Path, file: Path, changes: list[str], words: str) -> None:
    options = [part for change in changes for part in ("--set", change)]
    assert words in refusal("study", "run", file, *options)
    assert statuses(store_at(home)) == {}


def test_pre_training_without_a_pretext_task_is_refused(home: Path, file: Path) -> None:
    assert "training.pretext is none, so there is nothing to pre-train on" in refusal("pretrain", file)


def test_a_class_that_training_participants_lack_is_refused(
    home: Path, file: Path, small_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lacking"
    folder.mkdir()
    for name in ("X", "Y", "pid", "T"):
        array = np.load(small_folder / f"{name}.npy")
        if name == "Y":
            array = array.astype("U20")
            array[np.load(small_folder / "pid.npy") == 1] = "rowing"
        np.save(folder / f"{name}.npy", array)
    pid = np.load(folder / "pid.npy")
    seed = next(seed for seed in range(50) if 1 not in hold_out(pid, 0.2, seed, 0.25).train)
    sentence = refusal("train", file, "--set", f"data={folder}", "--set", f"split.test_seed={seed}")
    assert "the class 'rowing' has no window among the training participants" in sentence


def test_showing_an_unknown_study_is_refused(home: Path) -> None:
    assert "there is no study 'x'" in refusal("study", "show", "x")


def test_a_folder_as_tracking_store_is_refused(home: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    assert "MLflow no longer stores runs in plain folders" in refusal("train", file)


def test_a_home_that_cannot_be_created_is_one_sentence(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis").write_text("ten years of work")
    monkeypatch.setenv("SSLWEAR_HOME", str(tmp_path / "thesis" / "home"))
    for command in (("train", file), ("study", "show", "x"), ("ui",)):
        assert f"cannot create the folder {tmp_path / 'thesis' / 'home'} (" in refusal(*command)


def test_a_server_that_does_not_answer_is_one_sentence(home: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "the MLflow store http://127.0.0.1:9 does not answer (" in refusal("train", file)


def test_another_tracking_store_is_used(
    home: Path, file: Path, empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "elsewhere.db"
    with sqlite3.connect(empty_home / "mlflow.db") as one, sqlite3.connect(database) as other:
        one.backup(other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    monkeypatch.chdir(tmp_path)
    assert call("train", file, "--set", "training.max_epochs=1").exit_code == 0
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from runs").fetchone() == (1,)
    with sqlite3.connect(home / "mlflow.db") as connection:
        assert connection.execute("select count(*) from runs").fetchone() == (0,)


def test_describing_a_data_set(small_folder: Path) -> None:
    result = call("data", "describe", small_folder)
    assert result.exit_code == 0
    for words in ("180 of 150 samples x 3 axes, 5 s at 30 Hz", "pendulum", "6, 30 windows each: 1 2 5 6 7 8"):
        assert words in result.stdout
    assert "is neither a directory nor a source" in refusal("data", "describe", small_folder / "nothing")


def test_describing_bad_data_is_refused(small_folder: Path, tmp_path: Path) -> None:
    for name in ("X", "Y", "pid", "T"):
        array = np.load(small_folder / f"{name}.npy")
        np.save(tmp_path / f"{name}.npy", array * 9.81 if name == "X" else array)
    assert "X.npy cannot be in g" in refusal("data", "describe", tmp_path)


@pytest.fixture
def start(home: Path, file: Path) -> Iterator[Callable[..., Command]]:
    """Starts the command in a separate process, which is ended after the test."""
    started: list[Command] = []

    def run(*arguments: str, ignoring: signal.Signals | None = None) -> Command:
        started.append(Command(*arguments, ignoring=ignoring))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_for_trial(home: Path, number: int, epochs: int, process: Command) -> None:
    """Wait until a trial has reported a number of epochs."""
    query = (
        "select count(*) from trial_intermediate_values v join trials t on t.trial_id = v.trial_id where t.number = ?"
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        with sqlite3.connect(home / "optuna.db", timeout=30) as connection:
            if connection.execute(query, (number,)).fetchone()[0] >= epochs:
                return
        time.sleep(0.05)
    raise AssertionError(f"trial {number} did not get to epoch {epochs}")


@pytest.mark.slow
@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_stopped_process_is_resumed_without_losing_finished_trials(
    home: Path, file: Path, start: Callable[..., Command], signal_number: int, code: int
) -> None:
    longer = ("encoder=harnet5", "training.max_epochs=8", "training.patience=8")
    study = ("study", "run", str(file), *(part for change in longer for part in ("--set", change)))
    process = start(*study, "--set", "search.pretext=[none]")
    wait_for_trial(home, 1, 1, process)
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in out + err
    if signal_number != signal.SIGKILL:
        assert err.startswith("sslwear: interrupted; finished trials are kept")
        assert statuses(store_at(home)) == {"study": ["KILLED"], "trial": ["FINISHED", "KILLED"]}
    resumed = start(*study, "--set", "search.pretext=[none]")
    out, err = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, err
    found = statuses(store_at(home))
    trials = ["FINISHED", "KILLED", "FINISHED", "FINISHED"]
    assert found == {"study": ["FINISHED"], "trial": trials, "winner": ["FINISHED"]}
    assert len([line for line in out.splitlines() if " interrupted " in line]) == 1
    assert " was selected." in out


@pytest.mark.slow
def test_a_signal_that_the_caller_ignores_does_not_stop_a_study(
    home: Path, file: Path, start: Callable[..., Command]
) -> None:
    longer = ("--set", "encoder=harnet5", "--set", "search.pretext=[none]")
    process = start("study", "run", str(file), *longer, ignoring=signal.SIGHUP)
    wait_for_trial(home, 0, 1, process)
    process.send_signal(signal.SIGHUP)  # nohup ignores it
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert " was selected." in out


def answered(address: str, process: Command) -> bytes:
    """Answer of a server after it has started."""
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.status == 200
                found: bytes = answer.read()
                return found
        except OSError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.3)


def assert_unreachable_from_outside(port: int) -> None:
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for outside in addresses - {"127.0.0.1", "127.0.1.1"}:
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((outside, port)) != 0


@pytest.mark.slow
def test_the_ui_answers_on_this_machine_only_and_shows_the_studies(
    home: Path, file: Path, drawn: None, start: Callable[..., Command]
) -> None:
    assert call("train", file, "--set", "training.max_epochs=1").exit_code == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert f"127.0.0.1:{port} is not available" in refusal("ui", "--port", str(port))
    process = start("ui", "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    answered(f"{address}/health", process)
    body = json.dumps({"experiment_ids": [store_at(home).experiment("tiny")]}).encode()
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/runs/search", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        (run,) = json.load(answer)["runs"]
    with urllib.request.urlopen(
        f"{address}/get-artifact?run_uuid={run['info']['run_id']}&path=confusion.png"
    ) as answer:
        assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
    assert_unreachable_from_outside(port)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert f"tiny: {address}/study/tiny" in out


@pytest.mark.slow
def test_the_dashboard_answers_on_this_machine_only_and_names_the_studies(
    home: Path, start: Callable[..., Command]
) -> None:
    pytest.importorskip("optuna_dashboard", reason="Optuna's dashboard is not installed: pip install '.[dashboard]'")
    optuna.create_study(study_name="tiny", storage=store_at(home).storage_url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert "is not available" in refusal("dashboard", "--port", str(port))
    process = start("dashboard", "--port", str(port))
    (study,) = json.loads(answered(f"http://127.0.0.1:{port}/api/studies", process))["study_summaries"]
    assert study["study_name"] == "tiny"
    assert_unreachable_from_outside(port)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert f"tiny: http://127.0.0.1:{port}/dashboard/studies/{study['study_id']}" in out
    assert "Traceback" not in err


def test_a_dashboard_that_is_not_installed_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert "pip install 'sslwear[dashboard]'" in refusal("dashboard")
