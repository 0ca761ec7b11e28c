"""Limits of the model server; the answers of a real server process are in `tests/integration/test_serving.py`."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sslwear.deployment.serving import scoring
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from tests.unit.deployment.asgi import ask

CARD = Card("harnet5", 150, 30.0, "g", ("walk", "sit"), "a data set", "f", None)
STILL = [[0.0, 0.0, 1.0]] * 150


class Counting(Model):
    """A classifier that says 'sit', takes its time, and counts windows."""

    def __init__(self, seconds: float = 0.0) -> None:
        torch.manual_seed(0)
        super().__init__(network(CARD), CARD)
        self.seconds, self.windows = seconds, 0

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(self.seconds)
        self.windows += len(windows)
        return np.tile(np.float32([0.25, 0.75]), (len(windows), 1))


def send(app: Any, body: bytes | dict[str, Any], **headers: str) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    status, _, answer = ask(app, "POST", "/invocations", content, given)
    return status, json.loads(answer) if answer else None


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_every_window_gets_a_label_and_probabilities(key: str) -> None:
    model = Counting()
    status, answer = send(scoring.make(model), {key: [STILL] * 130})
    assert status == 200
    assert answer == {"predictions": [{"label": "sit", "p_walk": 0.25, "p_sit": 0.75}] * 130}
    assert model.windows == 130


def test_requests_that_are_too_large_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MAX_BYTES", 2**20)
    app, announced, message = scoring.make(Counting()), "9" * 5000, "more than 1 MiB. Send fewer windows"
    for status, answer in (
        send(app, b"", content_length="200000000"),
        send(app, b"", content_length=announced),
        send(app, b" " * (2**20 + 1)),
    ):
        assert status == 413
        assert message in answer["message"]


def test_too_many_windows_are_refused() -> None:
    status, answer = send(scoring.make(Counting()), {"inputs": [[]] * (scoring.MAX_WINDOWS + 1)})
    assert (status, answer["message"]) == (413, "the request has 5001 windows. Send at most 5000 at a time")


@pytest.mark.parametrize(
    ("body", "kind", "status", "reason"),
    [
        (b'{"inputs": ' + b"9" * 5000 + b"}", "application/json", 400, "too many digits"),
        (b"[" * 100_000, "application/json", 400, "nested too deeply"),
        (b"\xff\xfe{", "application/json", 400, "not JSON"),
        (b"a,b\n1,2", "text/csv", 415, "Send application/json"),
        (b"PAR1", "application/vnd.apache.parquet", 415, "Send application/json"),
        (b"{}", "", 415, "Send application/json"),
    ],
)
def test_what_cannot_be_read_gets_a_reason(body: bytes, kind: str, status: int, reason: str) -> None:
    found, answer = send(scoring.make(Counting()), body, content_type=kind)
    assert found == status
    assert reason in answer["message"]


def test_work_ends_with_its_request() -> None:
    model = Counting(seconds=0.1)
    status, answer = send(scoring.make(model, time_limit_s=0.3), {"inputs": [STILL] * 64 * 20})
    assert status == 504
    assert "more than 0.3 s" in answer["message"]
    time.sleep(0.5)
    done = model.windows
    time.sleep(0.3)
    assert model.windows == done < 64 * 10


def test_only_some_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MAX_REQUESTS", 1)
    app, answers = scoring.make(Counting(seconds=0.5)), []
    threads = [threading.Thread(target=lambda: answers.append(send(app, {"inputs": [STILL]})[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 503]


def test_the_server_checks_who_asks() -> None:
    status, _, _ = ask(scoring.make(Counting()), "POST", "/invocations", b"{}", {"origin": "http://evil.example"})
    assert status == 403
