"""An MLflow server in a process forked from one that has imported it, which saves seconds each time that it starts."""

from __future__ import annotations

import os

import uvicorn
from mlflow.server import constants
from mlflow.server.fastapi_app import app

from deploy.throwaway import MlflowServer
from tests.commands import Forked


class ForkedMlflowServer(MlflowServer):
    """The throwaway server, forked."""

    def _launch(self) -> Forked:  # type: ignore[override]  # has what is used of `subprocess.Popen`
        return Forked(_serve, self._database, str(self._folder / "artifacts"), str(self._port))


def _serve(database: str, artifacts: str, port: str) -> None:
    """Serve until the process is told to end."""
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = database
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = artifacts
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
