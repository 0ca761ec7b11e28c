"""MLflow's model server with short error messages, started with ``uvicorn sslwear.deployment.scoring:app``.

MLflow's own messages contain all data of the request, and JSON that is nested too deeply is an internal error there.
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
    """Server of a model, by its MLflow URI."""
    server: FastAPI = scoring_server.init(load_model(uri))
    server.middleware("http")(_short_errors)
    return server


async def _short_errors(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Middleware that answers unreadable requests with status 400, and shortens error messages."""
    try:
        response = await answer(request)
    except (RecursionError, OverflowError):
        return _bad_request("the request is nested too deeply or has numbers that are too large")
    if response.status_code != 400:
        return response
    body = b"".join([chunk async for chunk in response.body_iterator])  # type: ignore[attr-defined]
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")
    return _bad_request(" ".join(_DUMP.sub("", message).split()))


def _bad_request(message: str) -> Response:
    content = {"error_code": "INVALID_PARAMETER_VALUE", "message": message[:1000]}
    return Response(json.dumps(content), 400, media_type="application/json")


def __getattr__(name: str) -> FastAPI:
    """``app``, created when the server imports it."""
    if name == "app":
        return make(os.environ[MODEL_VARIABLE])
    raise AttributeError(name)
