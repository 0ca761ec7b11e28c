"""The ``sslwear ui`` and ``sslwear dashboard`` commands: browse studies, runs and models."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_warning, user_errors
from sslwear.deployment.server import LOOPBACK
from sslwear.utils.masking import masked

if TYPE_CHECKING:
    from sslwear.tracking import Store

NO_STUDY = "There is no study yet. Run 'make study' or 'sslwear study run FILE'."


def ui(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; by default this machine only.")
    ] = LOOPBACK,
    expose: Annotated[bool, typer.Option("--expose", help="Allow access from other machines.")] = False,
) -> None:
    """Browse studies and models in the MLflow UI, on this machine only."""
    with user_errors("the server has ended"):
        from sslwear.deployment import server
        from sslwear.studies.mlflow_page import lines
        from sslwear.tracking import Store

        store = Store.from_environment()
        if store.tracking_uri.startswith(("http://", "https://")):
            print(f"MLFLOW_TRACKING_URI is set: open {masked(store.tracking_uri)} in a browser")
            return
        exposed = "read, change and delete all runs and models, and read the files of this store"
        if (warning := server.check_address(host, port, expose, exposed)) is not None:
            print_warning(warning)
        pages = lines(f"http://{host}:{port}", store)
        for line in pages or [NO_STUDY]:
            print(line)
        if pages:
            print("To see how runs differ in parameters and metrics, select them in the table and press Compare.")
        print("The MLflow UI starts in a few seconds. Press Ctrl-C to end it.", flush=True)
        command = ["mlflow", "server", "--host", host, "--port", str(port), "--workers", "1", "--no-serve-artifacts"]
        command += ["--default-artifact-root", str(store.home / "artifacts")]
        environment = {"MLFLOW_BACKEND_STORE_URI": store.tracking_uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        raise typer.Exit(server.run(command, environment))


def dashboard(port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8080) -> None:
    """Browse trials in Optuna's dashboard, on this machine only (extra: dashboard)."""
    with user_errors("the server has ended"):
        from sslwear.deployment import server
        from sslwear.errors import StudyError
        from sslwear.studies.storage import all_studies, open_storage
        from sslwear.tracking import Store

        try:
            from optuna_dashboard import run_server
        except ImportError as error:
            raise StudyError(
                "Optuna's dashboard is not installed. Install it with pip install 'sslwear[dashboard]', or start it "
                "with make dashboard in a clone of the repository"
            ) from error
        server.check_address(LOOPBACK, port, expose=False, exposed="")
        store = Store.from_environment()
        storage, address = open_storage(store), f"http://{LOOPBACK}:{port}"
        studies = all_studies(store)
        for line in [f"{study.study_name}: {address}/dashboard/studies/{study._study_id}" for study in studies] or [
            NO_STUDY
        ]:
            print(line)
        print("Press Ctrl-C to end it.", flush=True)
        # its server loses a Ctrl-C that arrives during an answer; in a thread it cannot receive one
        thread = Thread(target=run_server, args=(storage, LOOPBACK, port), daemon=True)
        thread.start()
        try:
            thread.join()
        except KeyboardInterrupt:
            return


def ui_command(store: Store) -> str:
    """How to browse a store: a command or an address."""
    if store.tracking_uri.startswith(("http://", "https://")):
        return f"a browser at {masked(store.tracking_uri)}"
    return "make ui (or sslwear ui)"
