"""Rounding of the numbers that MLflow's UI shows: it prints scores and learning rates with up to 17 digits."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/ajax-api/2.0/mlflow/runs/search", "/ajax-api/2.0/mlflow/runs/get", "/graphql")
"""Paths from which the pages of an experiment and of a run read metrics and parameters."""
DECIMALS = 4
_LONG_NUMBER = re.compile(rf"-?\d+\.\d{{{DECIMALS + 1},}}(e-?\d+)?")


def rounded(value: float) -> float:
    """A number with `DECIMALS` decimals, or as many significant digits if it is below 1."""
    return round(value, DECIMALS) if abs(value) >= 1 else float(f"{value:.{DECIMALS}g}")


def round_values(answer: Any) -> Any:
    """Answer of MLflow's server in which the values of all metrics and parameters are rounded."""
    if isinstance(answer, list):
        return [round_values(part) for part in answer]
    if not isinstance(answer, dict):
        return answer
    found = {key: round_values(part) for key, part in answer.items()}
    value = found.get("value") if "key" in found else None
    if isinstance(value, float):
        found["value"] = rounded(value)
    elif isinstance(value, str) and _LONG_NUMBER.fullmatch(value):
        found["value"] = str(rounded(float(value)))
    return found


class RoundedValues:
    """ASGI middleware that rounds metrics and parameters in the answers of `PATHS`, which only the UI uses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        chunks: list[bytes] = []

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                body = b"".join(chunks)
                if start["status"] == 200:
                    body = json.dumps(round_values(json.loads(body))).encode()
                MutableHeaders(scope=start)["content-length"] = str(len(body))
                await send(start)
                await send({**message, "body": body})

        await self._app(scope, receive, sent)
