"""MLflow's model server, started with ``uvicorn sslwear.deployment.scoring:app``: a refusal is its reason.

MLflow puts all of the data that it was sent before the reason, and takes JSON that is nested too deeply for its own
mistake.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from mlflow.pyfunc import load_model, scoring_server

from sslwear.deployment.server import MODEL_VARIABLE

_DUMP = re.compile(r"^Failed to (?:predict|enforce schema of) data '.*(?:'\. \n?Error: |'\. Error: )", re.DOTALL)


def make(uri: str) -> FastAPI:
    """The server of a model, by its MLflow address."""
    server: FastAPI = scoring_server.init(load_model(uri))
    server.middleware("http")(_sensible)
    return server


async def _sensible(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Answer what cannot be read with 400, and shorten a refusal to its reason."""
    try:
        found = await answer(request)
    except (RecursionError, OverflowError):
        return _refusal(400, "the request is nested too deeply or has numbers that are too large")
    if found.status_code != 400:
        return found
    body = b"".join([piece async for piece in found.body_iterator])  # type: ignore[attr-defined]
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")
    return _refusal(400, " ".join(_DUMP.sub("", message).split()))


def _refusal(status: int, message: str) -> Response:
    content = {"error_code": "INVALID_PARAMETER_VALUE", "message": message[:1000]}
    return Response(json.dumps(content), status, media_type="application/json")


def __getattr__(name: str) -> FastAPI:
    """``app``, made when the server asks for it."""
    if name == "app":
        return make(os.environ[MODEL_VARIABLE])
    raise AttributeError(name)
