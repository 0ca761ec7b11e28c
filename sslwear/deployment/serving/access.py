"""Which requests a server answers: only those addressed to it by a name of its own, and only from its own pages.

Without these checks, a page on the internet could reach a server on this machine: by a name that it resolves to
127.0.0.1 (DNS rebinding), or by a request across origins.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
HEADERS = {"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff"}


def refusal(host: str, origin: str | None, listens_on: str) -> str | None:
    """Reason why a request is refused; None if it is answered.

    Addresses in numbers are always accepted as the host, because only names can be made to point elsewhere.

    Args:
        host: header ``Host``.
        origin: header ``Origin``, which browsers add to requests of other pages and to all that change something.
        listens_on: address or name that the server listens on.
    """
    name = _name(host)
    if not (_is_number(name) or name in {"localhost", listens_on.lower(), *_machine_names(listens_on)}):
        return f"This server is not named {name or '(empty)'!r}. Open it at its address in numbers, or at localhost."
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return f"Pages of {origin!r} may not use this server."
    return None


def _name(host: str) -> str:
    """Name of a header ``Host`` without the port, in lower case; empty if it is not a host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _machine_names(listens_on: str) -> set[str]:
    """Names of this machine, for a server that other machines can reach."""
    if listens_on == "localhost" or (_is_number(listens_on) and ipaddress.ip_address(listens_on).is_loopback):
        return set()
    return {socket.gethostname().lower(), socket.getfqdn().lower()}


class CheckedAccess:
    """ASGI middleware that answers requests with a foreign ``Host`` or ``Origin`` with status 403.

    Args:
        app: the application.
        listens_on: address or name that the server listens on.
    """

    def __init__(self, app: ASGIApp, listens_on: str) -> None:
        self._app = app
        self._listens_on = listens_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = refusal(headers.get("host", ""), headers.get("origin"), self._listens_on)
        if reason is None:
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(reason, 403)(scope, receive, send)

    @staticmethod
    def _with_headers(send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        return sent


def checked_wsgi(app: WSGIApp, listens_on: str) -> WSGIApp:
    """A WSGI application behind the checks of `CheckedAccess`."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reason = refusal(environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN"), listens_on)
        if reason is None:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [reason.encode()]

    return answer
