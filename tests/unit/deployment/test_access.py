"""Requests that servers answer: those of their own pages, under their own names."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from sslwear.deployment.serving.access import CheckedAccess, checked_wsgi, refusal
from tests.unit.deployment.asgi import ask

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:5000", None),
        ("localhost:5000", "http://localhost:5000"),
        ("LOCALHOST", "http://localhost"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("192.168.1.7:5000", "http://192.168.1.7:5000"),
    ],
)
def test_own_names_and_own_pages_are_accepted(host: str, origin: str | None) -> None:
    assert refusal(host, origin, HERE) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "10.evil.example", "", ":5000", "[", "a@b"]
)
def test_a_foreign_name_is_refused(host: str) -> None:
    reason = refusal(host, None, HERE)
    assert reason is not None
    assert "is not named" in reason


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:8888", "https://evil.example:5000", "null", ""]
)
def test_a_foreign_page_is_refused(origin: str) -> None:
    reason = refusal("localhost:5000", origin, HERE)
    assert reason is not None
    assert "may not use this server" in reason


def test_a_server_for_other_machines_has_the_names_of_its_machine_and_the_one_it_was_given() -> None:
    own = f"{socket.gethostname()}:5000"
    assert refusal(own, f"http://{own}", "0.0.0.0") is None
    assert refusal("wrist.lab:5000", None, "wrist.lab") is None
    assert refusal("wrist.lab:5000", None, "0.0.0.0") is not None


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_both_kinds_of_servers_answer_with_403_and_do_nothing(method: str, headers: dict[str, str]) -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["method"])
        await PlainTextResponse("done")(scope, receive, send)

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [])
        return [b"done"]

    statuses: list[str] = []
    environ = {"REQUEST_METHOD": method, "HTTP_HOST": "127.0.0.1:5000"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    assert ask(CheckedAccess(app, HERE), method, "/api/studies/1", headers=headers)[0] == 403
    checked_wsgi(wsgi, HERE)(environ, lambda status, _: statuses.append(status))
    assert statuses == ["403 Forbidden"]
    assert calls == []
    assert ask(CheckedAccess(app, HERE), method, "/api/studies/1")[2] == b"done"
    assert calls == [method]


def test_answers_may_not_be_framed_by_other_pages() -> None:
    _, headers, _ = ask(CheckedAccess(PlainTextResponse("done"), HERE), "GET", "/")
    assert headers["x-frame-options"] == "SAMEORIGIN"
