"""A promoted model behind HTTP, in a real server process: answers, or a reason."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from deploy.throwaway import free_port
from sslwear.cli.app import app
from sslwear.deployment import registry
from sslwear.errors import StudyError
from sslwear.tracking import Store
from tests.integration.serving import running_server


@pytest.fixture(scope="module")
def address(promoted: Store) -> Iterator[str]:
    """Where `sslwear serve` answers; it ends by Ctrl-C and leaves nothing behind."""
    with running_server("tiny@champion", promoted.home) as port:
        yield f"http://127.0.0.1:{port}"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def ask(address: str, body: bytes | dict[str, Any]) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{address}/invocations", data=content, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def windows(count: int) -> np.ndarray:
    draws = np.random.default_rng(count)
    return (draws.normal(0, 0.1, (count, 150, 3)) + np.array([0, 0, 1])).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 7, 512])
def test_any_number_of_windows_is_classified(address: str, promoted: Store, count: int) -> None:
    sent = windows(count)
    status, answer = ask(address, {"inputs": sent.tolist()})
    assert status == 200
    wanted = registry.load_model(promoted, "tiny@champion").predict(sent)
    assert [row["label"] for row in answer["predictions"]] == list(wanted["label"])
    np.testing.assert_allclose([row["p_pendulum"] for row in answer["predictions"]], wanted["p_pendulum"], atol=1e-5)


@pytest.mark.slow
def test_both_layouts_are_accepted(address: str) -> None:
    sent = windows(3)
    first = ask(address, {"inputs": sent.transpose(0, 2, 1).tolist()})
    assert first == ask(address, {"inputs": sent.tolist()})


def spoilt(value: Any) -> dict[str, Any]:
    content = windows(2).tolist()
    content[1][3][1] = value
    return {"inputs": content}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{bad", "JSON"),
        (b"", "JSON"),
        (b"[]", "JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (json.dumps({"inputs": [[[10**400] * 3] * 150]}).encode(), "numbers"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "too many digits"),
        ({"inputs": [[["1.0"] * 3] * 150]}, "not an array of numbers"),
        ({"inputs": [[[True] * 3] * 150]}, "not an array of numbers"),
        ({}, "input"),
        ({"inputs": []}, "array"),
        ({"inputs": "walk"}, "not an array of numbers"),
        ({"inputs": None}, "input"),
        ({"inputs": windows(2)[:, :100].tolist()}, "This model takes (N, 150, 3) or (N, 3, 150)"),
        ({"inputs": [1, 2]}, "This model takes"),
        ({"inputs": [[[1, 2], [1]], [[3]]]}, "not an array of numbers"),
        (spoilt(float("nan")), "NaN or infinite samples, first in window 1"),
        (spoilt(None), "NaN or infinite samples, first in window 1"),
        (spoilt(float("inf")), "NaN or infinite samples"),
        (spoilt("a"), "not an array of numbers"),
        (spoilt(1e6), "more than 1000"),
        ({"inputs": (windows(2) * 9.80665).tolist()}, "looks like m/s"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "This model takes"),
        ({"wrong": windows(1).tolist()}, "input"),
    ],
)
def test_wrong_requests_get_a_short_error(address: str, body: bytes | dict[str, Any], reason: str) -> None:
    status, answer = ask(address, body)
    assert status == 400, answer
    message = json.loads(answer)["message"]
    assert reason in message
    assert len(message) < 1001
    assert "Failed to predict data" not in message


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_requests_of_foreign_pages_are_refused(address: str, headers: dict[str, str]) -> None:
    content = json.dumps({"inputs": windows(1).tolist()}).encode()
    given = {"Content-Type": "application/json", **headers}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(f"{address}/invocations", content, given), timeout=60)


@pytest.mark.slow
def test_a_model_that_was_not_promoted_does_not_run_its_code(promoted: Store, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    folder = tmp_path / "model"
    folder.mkdir()
    source = registry.find_version(promoted, "tiny@champion").source
    copied = Path(urllib.request.url2pathname(source.removeprefix("file://"))) / "artifacts" / "model"
    for name in ("model.safetensors", "model.json"):
        (folder / name).write_bytes((copied / name).read_bytes())
    (folder / "encoder.py").write_text(f"open({str(ran)!r}, 'w')\n")
    promoted.client.create_registered_model("foreign")
    promoted.client.create_model_version("foreign", folder.as_uri())
    with pytest.raises(StudyError, match="foreign/1 was not made by sslwear promote and contains code"):
        registry.load_model(promoted, "foreign/1")
    assert not ran.exists()
    (folder / "encoder.py").unlink()
    registry.load_model(promoted, "foreign/1")  # without code it is only numbers


@pytest.mark.slow
def test_errors_of_serve_are_short(promoted: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(promoted.home))
    for arguments, sentence in (
        (["tiny@best"], "the model 'tiny' has no alias 'best'. Existing aliases: tiny@champion"),
        (["tiny@champion", "--host", "0.0.0.0"], "Add --expose to allow this"),
    ):
        done = CliRunner().invoke(app, ["serve", *arguments])
        assert done.exit_code == 1
        assert sentence in done.output
        assert "Traceback" not in done.output


@pytest.mark.slow
def test_passwords_are_not_on_the_command_line(promoted: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on a command line can be read by everybody on the machine."""
    started: list[tuple[list[str], dict[str, str]]] = []

    def popen(command: list[str], env: dict[str, str], **_: Any) -> Any:
        started.append((command, env))
        raise KeyboardInterrupt

    monkeypatch.setattr("sslwear.deployment.serving.server.subprocess.Popen", popen)
    secret = f"{promoted.tracking_uri}?password=s3cret"
    monkeypatch.setenv("SSLWEAR_HOME", str(promoted.home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret)
    monkeypatch.setattr(Store, "from_environment", lambda **_: Store(promoted.home, secret, promoted.storage_url))
    monkeypatch.setattr(Store, "client", promoted.client)
    for arguments in (["serve", "tiny@champion"], ["ui"]):
        done = CliRunner().invoke(app, [*arguments, "--port", str(free_port())])
        assert "s3cret" not in done.output
    assert len(started) == 2
    for command, environment in started:
        assert not [part for part in command if "s3cret" in part]
        assert [key for key, value in environment.items() if "s3cret" in value]
