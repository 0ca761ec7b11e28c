"""HTTP server of a model, started with ``uvicorn sslwear.deployment.serving.scoring:app``.

It understands the JSON requests of MLflow's model server. MLflow's own server has no limits on a request, works on
after a time-out, and runs the code that a model version contains; this one loads the weights and the card.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mlflow.version import VERSION
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sslwear.deployment import registry
from sslwear.deployment.serving.access import CheckedAccess
from sslwear.deployment.serving.server import HOST_VARIABLE, LOOPBACK, MODEL_VARIABLE
from sslwear.encoders.classifier import Model, table
from sslwear.errors import SslwearError
from sslwear.tracking import Store

MAX_BYTES = 64 * 2**20
MAX_WINDOWS = 5000
MAX_REQUESTS = 8
"""Number of requests that are read or wait at a time; one is computed at a time."""
TIME_LIMIT_S = 60.0
PIECE = 64
"""Number of windows after which a computation looks whether its request has ended."""
POLL_S = 0.2
KEYS = ("inputs", "instances")
ERROR_CODES = {400: "INVALID_PARAMETER_VALUE", 503: "TEMPORARILY_UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


class RefusedError(Exception):
    """Reason why a request gets no predictions, with the status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Scoring:
    """Predictions for requests, one at a time.

    Args:
        model: the classifier.
        time_limit_s: seconds from the start of a request to its answer.
    """

    def __init__(self, model: Model, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._model = model
        self._time_limit_s = time_limit_s
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._requests = 0

    async def answer(self, request: Request) -> Response:
        """Labels and class probabilities of the windows in a request, or a short reason why there are none."""
        if self._requests >= MAX_REQUESTS:
            return _refusal(503, f"{MAX_REQUESTS} requests are waiting. Repeat the request later")
        self._requests += 1
        ended = threading.Event()
        try:
            async with asyncio.timeout(self._time_limit_s):
                body = await _body(request)
                work = asyncio.get_running_loop().run_in_executor(self._worker, self._predict, body, ended)
                while not (await asyncio.wait([work], timeout=POLL_S))[0]:
                    if await request.is_disconnected():
                        raise ClientDisconnect
                return JSONResponse({"predictions": await work})
        except RefusedError as error:
            return _refusal(error.status, str(error))
        except TimeoutError:
            return _refusal(504, f"the request took more than {self._time_limit_s:g} s. Send fewer windows")
        except ClientDisconnect:
            return Response(status_code=499)  # nobody receives it
        finally:
            ended.set()
            self._requests -= 1

    def _predict(self, body: bytes, ended: threading.Event) -> list[dict[str, Any]]:
        """Predictions as one row for each window; empty when the request ended before."""
        card, found = self._model.card, []
        if ended.is_set():
            return []
        try:
            windows = self._model.check(_windows(body, card.inputs))
        except SslwearError as error:
            raise RefusedError(400, str(error)) from error
        for first in range(0, len(windows), PIECE):
            if ended.is_set():
                return []
            found.append(self._model.probabilities(windows[first : first + PIECE]))
        rows = table(np.concatenate(found), card.class_names).to_dict("records")
        return [{str(column): value for column, value in row.items()} for row in rows]


async def _body(request: Request) -> bytes:
    """Content of a request.

    Raises:
        RefusedError: when it is not JSON by its type, or too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise RefusedError(415, f"the content type is {kind or '(none)'}. Send application/json")
    too_large = RefusedError(413, f"the request has more than {MAX_BYTES // 2**20} MiB. Send fewer windows at a time")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 15 or int(declared) > MAX_BYTES):
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BYTES:
            raise too_large
    return bytes(content)


def _windows(body: bytes, wanted: str) -> Any:
    """Windows in a request, before the checks of the model.

    Args:
        body: content of the request.
        wanted: shape of the windows, for messages.

    Raises:
        RefusedError: when the content is not the expected JSON, or has too many windows.
    """
    try:
        content = json.loads(body)
    except RecursionError as error:
        raise RefusedError(400, "the request is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RefusedError(400, f"the request is not JSON ({error})") from error
    except ValueError as error:
        raise RefusedError(400, "the request has numbers with too many digits") from error
    if not isinstance(content, dict):
        raise RefusedError(400, 'the request is not a JSON object. Send {"inputs": windows}')
    key = next((key for key in KEYS if key in content), None)
    if key is None:
        raise RefusedError(400, f"the request has no 'inputs'. This model takes {{\"inputs\": windows}}, {wanted}")
    values = content[key]
    if values is None or values == []:
        raise RefusedError(400, f"{key!r} is empty. Give an array of input windows {wanted}")
    if isinstance(values, list) and len(values) > MAX_WINDOWS:
        raise RefusedError(413, f"the request has {len(values)} windows. Send at most {MAX_WINDOWS} at a time")
    return values


def _refusal(status: int, message: str) -> Response:
    content = {"error_code": ERROR_CODES.get(status, "BAD_REQUEST"), "message": message[:1000]}
    return JSONResponse(content, status)


async def _ping(_: Request) -> Response:
    return Response("\n", media_type="application/json")


async def _version(_: Request) -> Response:
    return PlainTextResponse(VERSION)


def make(model: Model, listens_on: str = LOOPBACK, time_limit_s: float = TIME_LIMIT_S) -> Starlette:
    """Web application of a model.

    Args:
        model: the classifier.
        listens_on: address that the server listens on.
        time_limit_s: seconds from the start of a request to its answer.
    """
    routes = [
        Route("/invocations", Scoring(model, time_limit_s).answer, methods=["POST"]),
        Route("/ping", _ping),
        Route("/health", _ping),
        Route("/version", _version),
    ]
    return Starlette(routes=routes, middleware=[Middleware(CheckedAccess, listens_on=listens_on)])


def __getattr__(name: str) -> Starlette:
    """``app``, created when the server imports it."""
    if name == "app":
        model = registry.load_model(Store.from_environment(write=False), os.environ[MODEL_VARIABLE])
        return make(model, os.environ.get(HOST_VARIABLE, LOOPBACK))
    raise AttributeError(name)
