"""MLflow's server as a page of studies, started with ``uvicorn sslwear.deployment.serving.mlflow_ui:app``.

MLflow's UI opens in its mode for generative AI, with an assistant that can run commands on this machine. MLflow has no
setting for either. Here the UI opens in its mode for model training, the assistant is not served, and each study has a
short address.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import StarletteDeprecationWarning
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from sslwear.deployment.serving.access import CheckedAccess
from sslwear.deployment.serving.rounding import RoundedValues
from sslwear.deployment.serving.server import HOST_VARIABLE, LOOPBACK
from sslwear.studies.results.mlflow_page import SHORT, page
from sslwear.tracking import Store

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
SCRIPT = """<script>
for (const [key, value] of [
  ["workflowType", '"machine_learning"'],
  ["assistant.panelOpen", "false"],
  ["assistant.fab.autoOpenedOnFirstLoad", "true"],
]) localStorage.setItem(`mlflow.${key}_v1`, value);
if (["", "#/"].includes(location.hash)) location.replace("#/experiments?workflowType=machine_learning");
if (location.hash.includes("viewStateShareKey=nested")) {
  const unfold = new MutationObserver(() => {
    const button = document.querySelector(".ag-row button:has(path[d^='M7.25 7.25'])");  // a plus sign in a square
    if (button) {
      unfold.disconnect();
      button.click();
    }
  });
  unfold.observe(document, {childList: true, subtree: true});
}
</script>
<style>
  [data-assistant-ui], a[href="#/"] { display: none !important }
</style>"""
"""Sets what MLflow's UI remembers in the browser, before the UI reads it; unfolds the newest study of the nested view,
for which MLflow's views have no setting; and hides the ways to the assistant and to the home of the other mode."""


async def _front(_: Request) -> Response:
    """MLflow's page, which opens with the experiments."""
    from mlflow.server import REL_STATIC_DIR
    from mlflow.server import __file__ as package

    html = (Path(package).parent / REL_STATIC_DIR / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(html.replace("<head>", f"<head>{SCRIPT}", 1), headers={"Cache-Control": "no-cache"})


def _short(request: Request) -> Response:
    """Redirection from a short address to the page of a study."""
    kind, _, name = request.scope["path"].removeprefix("/").partition("/")
    found = Store.from_environment().client.get_experiment_by_name(name)
    if found is None:
        return PlainTextResponse(f"There is no study {name!r}. All studies are at {request.base_url}", 404)
    return RedirectResponse(page(found, SHORT[kind]))


async def _no_assistant(_: Request) -> Response:
    return PlainTextResponse("The assistant is not part of this server.", 404)


def _make() -> Starlette:
    os.environ["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] = "true"  # it refuses its own pages under another address
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StarletteDeprecationWarning)  # of a module that MLflow uses
        from mlflow.server.fastapi_app import app as mlflow_app

    routes = [
        Route("/", _front),
        *(Route(f"/{kind}/{{name:path}}", _short) for kind in SHORT),
        Mount(ASSISTANT, Route("/{path:path}", _no_assistant, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])),
        Mount("/", mlflow_app),
    ]
    access = Middleware(CheckedAccess, listens_on=os.environ.get(HOST_VARIABLE, LOOPBACK))
    return Starlette(routes=routes, middleware=[access, Middleware(RoundedValues)])


def __getattr__(name: str) -> Starlette:
    """``app``, created when the server imports it."""
    if name == "app":
        return _make()
    raise AttributeError(name)
