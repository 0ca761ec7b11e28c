"""What runs log while a server is away is kept in order, and sent once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModel, LoggedModelStatus, RunOutputs
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from sslwear.tracking import Run, Store, offline_folder, offline_records, open_runs, records, retry
from sslwear.tracking.environment import set_defaults
from sslwear.tracking.offline_records import KeptRecords, server_of, waiting_records
from sslwear.tracking.records import Record
from sslwear.tracking.retry import PatientClient

ADDRESS = "http://user:secret@host:5000"
RUN = "0123"


class Server:
    """MLflow's client of a server that can be away.

    Attributes:
        away: whether it cannot be reached.
        until: number of calls after which it is away.
        calls: what arrived, in order.
        tags: of all runs together.
    """

    def __init__(self) -> None:
        self.away, self.until = False, 10**6
        self.calls: list[tuple[Any, ...]] = []
        self.models: list[LoggedModel] = []
        self.refused = ""
        self.refusal: Exception | None = None
        self.seen: list[str | None] = []
        self.tags: dict[str, str] = {}

    def _call(self, *call: Any) -> None:
        self.seen.append(os.environ.get(offline_records.RETRIES))
        if self.away or len(self.calls) >= self.until:
            raise requests.ConnectionError(f"refused by {ADDRESS}")
        if call[1] == self.refused:
            raise self.refusal or MlflowException(f"there is no run {self.refused}", RESOURCE_DOES_NOT_EXIST)
        self.calls.append(call)

    def log_batch(self, run: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        values = [(metric.key, metric.value, metric.timestamp, metric.step) for metric in metrics]
        self._call("batch", run, values, [tuple(one) for one in params], [tuple(one) for one in tags])
        self.tags.update((one.key, one.value) for one in tags)

    def set_tag(self, run: str, key: str, value: str) -> None:
        self._call("tag", run, key, value)

    def log_text(self, run: str, text: str, path: str) -> None:
        self._call("text", run, text, path)

    def log_artifact(self, run: str, path: str, place: str | None) -> None:
        self._call("file", run, Path(path).name, Path(path).read_bytes(), place)

    def log_inputs(self, run: str, datasets: list[DatasetInput]) -> None:
        self._call("inputs", run, [one.to_dictionary() for one in datasets])

    def create_logged_model(self, experiment: str, **given: Any) -> LoggedModel:
        self._call("model", given["source_run_id"], given["tags"])
        name, status = f"m-{len(self.models)}", LoggedModelStatus.PENDING
        model = LoggedModel(experiment, name, given["name"], "", 0, 0, status=status, tags=given["tags"])
        self.models.append(model)
        return model

    def search_logged_models(self, experiments: list[str], query: str) -> list[LoggedModel]:
        self._call("search", query)
        return self.models

    def log_model_artifacts(self, model: str, folder: str) -> None:
        self._call("files", model, sorted(path.name for path in Path(folder).iterdir()))

    def finalize_logged_model(self, model: str, status: LoggedModelStatus) -> None:
        self._call("finalised", model)
        self.models[0].status = status

    def get_run(self, run: str) -> Any:
        return SimpleNamespace(outputs=RunOutputs([]), data=SimpleNamespace(tags=self.tags))

    def log_outputs(self, run: str, models: list[Any]) -> None:
        self._call("outputs", run, [model.model_id for model in models])

    def set_terminated(self, run: str, status: str, end: int) -> None:
        self._call("end", run, status, end)

    def update_run(self, run: str, status: str) -> None:
        self._call("reopened", run, status)


@pytest.fixture
def server() -> Any:
    return Server()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time, which a test sets."""
    now = [100.0]
    monkeypatch.setattr(offline_records.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    offline_records._known.clear()


@pytest.fixture
def kept(home: Path) -> KeptRecords:
    return offline_records.kept_records(home, ADDRESS)


def owner() -> str:
    return "a-process"


def write(kept: KeptRecords, server: Any, *steps: int) -> None:
    for step in steps:
        kept.write(server, records.batch(RUN, metrics={"loss": 1 / step}, step=step), owner)


def steps(server: Server) -> list[int]:
    return [values[0][3] for kind, _, values, *_ in server.calls if kind == "batch"]


def folders(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "kept" / owner()).glob("*"))


def test_nothing_is_kept_while_the_server_answers(kept: KeptRecords, server: Any, home: Path) -> None:
    write(kept, server, 1, 2)
    assert steps(server) == [1, 2]
    assert not kept.waiting
    assert not (home / "kept").exists()


def test_records_of_an_outage_arrive_in_order_and_once(
    kept: KeptRecords, server: Any, home: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(kept, server, 1)
    server.away = True
    monkeypatch.setattr(records, "now_ms", lambda: 1234)
    write(kept, server, 2, 3)
    assert kept.waiting
    server.away = False
    write(kept, server, 4)  # behind the others, because the pause has not passed
    assert steps(server) == [1]
    monkeypatch.setattr(records, "now_ms", lambda: 5678)
    clock[0] += 100
    write(kept, server, 5)
    assert steps(server) == [1, 2, 3, 4, 5]
    times = [values[0][2] for _, _, values, *_ in server.calls]
    assert times[1:] == [1234, 1234, 1234, 5678]
    assert not kept.waiting
    assert not (home / "kept" / owner()).exists()
    write(kept, server, 6)
    assert steps(server) == [1, 2, 3, 4, 5, 6]


def test_the_end_of_a_run_sends_without_a_pause(kept: KeptRecords, server: Any) -> None:
    server.away = True
    write(kept, server, 1)
    server.away = False
    kept.write(server, records.end(RUN, "FINISHED"), owner)
    assert [call[0] for call in server.calls] == ["batch", "end"]


def test_pauses_grow_while_the_server_is_away(kept: KeptRecords, server: Any, clock: list[float]) -> None:
    server.away = True
    tried = []
    for step in range(1, 200):
        before = len(server.seen)
        write(kept, server, step)
        if len(server.seen) > before:
            tried.append(clock[0])
        clock[0] += 0.5
    between = [later - earlier for earlier, later in pairwise(tried)]
    assert between == sorted(between)
    assert between[0] < 1
    assert max(between) == pytest.approx(retry.LONGEST_PAUSE_S, abs=0.5)


def test_attempts_that_take_long_are_rare(kept: KeptRecords, server: Any, clock: list[float]) -> None:
    def hang(*_: Any, **__: Any) -> None:
        server.seen.append(None)
        clock[0] += 20
        raise requests.Timeout("no answer")

    server.log_batch = hang
    write(kept, server, 1)
    clock[0] += 60
    write(kept, server, 2)
    assert len(server.seen) == 1
    clock[0] += 21
    write(kept, server, 3)
    assert len(server.seen) == 2


def test_mlflow_itself_does_not_try_again_while_something_is_logged(
    kept: KeptRecords, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(offline_records.RETRIES, raising=False)
    set_defaults()
    write(kept, server, 1)
    assert os.environ[offline_records.RETRIES] == "3"
    monkeypatch.setenv(offline_records.RETRIES, "9")  # a user's
    write(kept, server, 2)
    assert server.seen == ["1", "9"]
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_restart_in_the_middle_of_sending(kept: KeptRecords, server: Any, home: Path) -> None:
    server.away = True
    write(kept, server, 1, 2, 3)
    server.away, server.until = False, 2
    with pytest.raises(requests.ConnectionError):
        kept.flush(server)
    assert folders(home) == ["00000003"]
    server.until = 10**6
    KeptRecords(home, server_of(ADDRESS)).upload(server)  # another process, after this one has ended
    assert steps(server) == [1, 2]  # the name is not one of this machine
    assert folders(home) == ["00000003"]
    kept.flush(server)
    assert steps(server) == [1, 2, 3]


def test_everything_that_a_run_logs_can_be_kept(kept: KeptRecords, server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(256)))
    dataset = DatasetInput(Dataset("d", "1", "local", "{}", None, "{}"), [InputTag("use", "train")])
    given = [
        records.batch(RUN, {"p": "ü"}, {"nan": float("nan"), "inf": float("inf")}, {"t": "x"}, 3),
        records.tag(RUN, "note", "text\nof lines"),
        records.text(RUN, "a\u2028b\r\n", "t/a.txt"),
        records.file(RUN, folder, "pictures"),
        records.datasets(RUN, [dataset]),
        records.checkpoint(RUN, "1", "cnn5", folder, {"f1": 0.5}, 2, known=True),
        records.end(RUN, "KILLED"),
        records.reopened(RUN),
    ]
    direct: Any = Server()
    for record in given:
        records.send(direct, record)
    server.away = True
    for record in given:
        kept.write(server, record, owner)
    server.away = False
    kept.flush(server)
    again = [call for call in server.calls if call[0] != "search"]
    assert repr(again) == repr(direct.calls)
    assert [call[0] for call in again][-2:] == ["end", "reopened"]


def test_a_checkpoint_that_was_half_sent_is_one_model(kept: KeptRecords, server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    server.until = 2
    kept.write(server, records.checkpoint(RUN, "1", "cnn5", folder, {"f1": 0.5}, 2, known=True), owner)
    assert [call[0] for call in server.calls] == ["model", "files"]
    copied = kept.copy_checkpoint(RUN, tmp_path / "copy")
    assert copied is not None
    assert (copied / "model.safetensors").read_bytes() == b"weights"
    assert kept.copy_checkpoint("other", tmp_path) is None
    server.until = 10**6
    kept.flush(server)
    assert [call[0] for call in server.calls[2:]] == ["search", "files", "finalised", "outputs", "batch"]
    assert len(server.models) == 1


@pytest.mark.parametrize(
    ("process", "reopens", "expected"),
    [
        ("another-process", False, ["batch"]),
        ("another-process", True, ["batch", "reopened", "batch", "batch", "end"]),
        ("a-process", False, ["batch", "batch", "end"]),
        (None, False, ["batch", "batch", "end"]),
    ],
    ids=["resumed elsewhere", "resumed here", "not resumed", "by version 0.1"],
)
def test_a_run_that_another_process_resumed_is_not_ended(
    kept: KeptRecords, server: Any, process: str | None, reopens: bool, expected: list[str]
) -> None:
    server.tags |= {"sslwear.process": process} if process else {}
    server.away = True
    given = [records.batch(RUN, tags={"sslwear.process": owner()}), records.reopened(RUN)] if reopens else []
    given += [records.batch(RUN, metrics={"loss": 0.5})]
    given += [records.batch(RUN, tags={"sslwear.outcome": "interrupted"}), records.end(RUN, "KILLED")]
    for record in given:
        kept.write(server, record, owner)
    server.away = False
    kept.flush(server)
    assert [call[0] for call in server.calls] == expected
    assert not kept.waiting


def test_files_are_for_this_user_and_have_no_password(kept: KeptRecords, server: Any, home: Path, caplog: Any) -> None:
    server.away = True
    store = Store(home, ADDRESS, f"sqlite:///{home}/optuna.db")
    store.__dict__["client"] = server
    Run(store, RUN, "1").describe(f"at {ADDRESS}")
    paths = list((home / "kept").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert b"secret" not in b"".join(path.read_bytes() for path in paths if path.is_file())
    assert "secret" not in caplog.text + kept.sentence()
    assert "http://host:5000 does not answer" in caplog.text
    assert {server: runs.total() for server, runs in waiting_records(home).items()} == {"http://host:5000": 1}


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "files"])
def test_a_damaged_record_is_named_and_the_others_are_sent(
    kept: KeptRecords, server: Any, home: Path, caplog: Any, damage: str, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_bytes(b"1234")
    server.away = True
    write(kept, server, 1, 2)
    kept.write(server, records.file(RUN, tmp_path / "files", None), owner)
    folder = home / "kept" / owner() / ("00000003" if damage == "files" else "00000002")
    content = folder / "record.json"
    match damage:
        case "cut":
            content.write_bytes(content.read_bytes()[:-5])
        case "changed":
            content.write_bytes(content.read_bytes().replace(b"loss", b"lost"))
        case "gone":
            content.unlink()
        case "files":
            (folder / "files" / "a").write_bytes(b"12")
    server.away = False
    kept.flush(server)
    assert steps(server) == ([1, 2] if damage == "files" else [1])
    assert f"damaged, so it is not uploaded: {folder.with_name(f'aside-{folder.name}')}" in caplog.text
    assert not kept.waiting
    server.away = True
    write(kept, server, 3)
    server.away = False
    kept.flush(server)
    assert steps(server)[-1] == 3
    assert len(offline_folder.set_aside(home / "kept")) == 1


def test_what_a_killed_process_did_not_finish_is_ignored(kept: KeptRecords, server: Any, home: Path) -> None:
    server.away = True
    write(kept, server, 1)
    unfinished = home / "kept" / owner() / ".00000002"
    unfinished.mkdir()
    (unfinished / "record.json").write_text("{")
    write(kept, server, 2)
    server.away = False
    kept.flush(server)
    assert steps(server) == [1, 2]


def test_a_record_of_a_deleted_run_is_set_aside(kept: KeptRecords, server: Any, home: Path, caplog: Any) -> None:
    server.away = True
    kept.write(server, records.tag("deleted", "a", "b"), owner)
    write(kept, server, 1)
    server.away, server.refused = False, "deleted"
    kept.flush(server)
    assert steps(server) == [1]
    assert "the run deleted was refused (there is no run deleted)" in caplog.text
    assert folders(home) == ["aside-00000001"]


@pytest.mark.parametrize("status", [413, 403])
def test_a_record_that_a_proxy_never_takes_is_set_aside(
    kept: KeptRecords, server: Any, home: Path, status: int
) -> None:
    server.away = True
    kept.write(server, records.tag("large", "a", "b"), owner)
    write(kept, server, 1)
    answer = requests.Response()
    answer.status_code = status
    server.away, server.refused, server.refusal = False, "large", requests.HTTPError(response=answer)
    if status == 413:
        kept.flush(server)
        assert steps(server) == [1]
        assert folders(home) == ["aside-00000001"]
    else:  # a user may be allowed later
        with pytest.raises(requests.HTTPError):
            kept.flush(server)
        assert len(folders(home)) == 2


@pytest.mark.parametrize("status", [500, 502])
def test_a_record_on_which_a_server_fails_for_a_day_is_set_aside(
    kept: KeptRecords, server: Any, home: Path, caplog: Any, status: int
) -> None:
    """It holds back the others until then, because a store of artifacts may be away for a while."""
    server.away = True
    kept.write(server, records.tag("bad", "a", "b"), owner)
    write(kept, server, 1)
    server.away, server.refused = False, "bad"
    server.refusal = MlflowException(f"API request to a failed with exception too many {status} error responses")
    for _ in range(2):
        with pytest.raises(MlflowException):
            kept.flush(server)
    assert folders(home) == ["00000001", "00000002"]
    (mark,) = home.glob(f"**/{offline_folder.FAILING}")
    os.utime(mark, (time.time() - 23 * 3600,) * 2)
    with pytest.raises(MlflowException):
        kept.flush(server)
    os.utime(mark, (time.time() - 25 * 3600,) * 2)
    server.get_run, get_run = lambda _: (_ for _ in ()).throw(requests.ConnectionError()), server.get_run
    with pytest.raises(MlflowException):
        kept.flush(server)
    server.get_run = get_run
    kept.flush(server)
    assert steps(server) == [1]
    assert f"too many {status} error responses" in caplog.text
    assert folders(home) == ["aside-00000001"]


def test_errors_of_a_server_that_answers_are_raised(kept: KeptRecords, server: Any) -> None:
    server.refused = RUN
    with pytest.raises(MlflowException):
        write(kept, server, 1)
    assert not kept.waiting


def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(
    kept: KeptRecords, server: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.away = True
    write(kept, server, 1)
    with monkeypatch.context() as patched:

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(offline_folder.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(kept, server, 2)
    assert folders(home) == ["00000001"]


def test_the_next_command_sends_what_an_ended_process_kept(kept: KeptRecords, server: Any, home: Path) -> None:
    server.away = True
    name = open_runs.own_name(home / "locks")
    for step in (1, 2):
        kept.write(server, records.batch(RUN, metrics={"loss": 1.0}, step=step), lambda: name)
    other = Record(RUN, "tag", {"key": "a", "value": "b"})
    offline_folder.keep(home / "kept" / name, "http://other", other)
    server.away = False
    later = KeptRecords(home, server_of("http://another:user@host:5000/"))
    later.upload(server)
    assert server.calls == []  # this process has not ended
    lock = open_runs._own.pop(home / "locks")
    later.upload(server)
    assert server.calls == []
    lock.release()
    with FileLock(lock.lock_file):  # somebody else asks at the same moment
        later.upload(server)
        assert server.calls == []
    server.until = 1
    assert later.upload(server) == []  # the server goes away again
    server.until = 10**6
    assert later.upload(server) == [name]
    assert steps(server) == [1, 2]
    assert list(waiting_records(home)) == ["http://other"]
    KeptRecords(home, "http://other").upload(server)
    assert server.calls[-1] == ("tag", RUN, "a", "b")
    assert list((home / "kept").iterdir()) == []


def test_a_reading_call_comes_after_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    client, order = PatientClient("http://127.0.0.1:9"), []
    client.before = lambda: order.append("kept")
    monkeypatch.setattr(client._tracking_client, "get_run", lambda _: order.append("read"))
    client.get_run(RUN)
    assert order == ["kept", "read"]


def test_a_file_is_never_away(home: Path) -> None:
    assert Store(home, f"sqlite:///{home}/other.db", f"sqlite:///{home}/optuna.db").kept is None
    first, second = (Store(home, ADDRESS, f"sqlite:///{home}/optuna.db").kept for _ in range(2))
    assert first is second


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("https://token@host/path/", "https://host/path"),
        ("postgresql+psycopg://user:a@b@host:5432/mlflow?password=x", "postgresql+psycopg://host:5432/mlflow"),
    ],
)
def test_the_name_of_a_server_has_no_secret(address: str, server: str) -> None:
    assert server_of(address) == server


def test_content_is_json(kept: KeptRecords, server: Any, home: Path) -> None:
    server.away = True
    write(kept, server, 1)
    text = (home / "kept" / owner() / "00000001" / "record.json").read_text().splitlines()[1]
    assert json.loads(text)["server"] == "http://host:5000"
