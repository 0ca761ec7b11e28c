"""The ``sslwear ui`` and ``sslwear dashboard`` commands: browse studies, runs and models."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from sslwear.cli.terminal import print_line, print_warning, standard_output, user_errors
from sslwear.deployment.serving.server import LOOPBACK
from sslwear.utils.masking import masked

if TYPE_CHECKING:
    from sslwear.tracking import Store

Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on; by default this machine only.")]
Expose = Annotated[bool, typer.Option("--expose", help="Allow access from other machines.")]
NO_STUDY = "There is no study yet. Run 'make study' or 'sslwear study run FILE'."


def ui(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
    host: Host = LOOPBACK,
    expose: Expose = False,
) -> None:
    """Browse studies and models in the MLflow UI, on this machine only."""
    with user_errors("the server has ended"):
        from sslwear.deployment.serving import server
        from sslwear.studies.results.mlflow_page import lines
        from sslwear.tracking import Store

        store = Store.from_environment()
        if store.tracking_uri.startswith(("http://", "https://")):
            print(f"MLFLOW_TRACKING_URI is set: open {masked(store.tracking_uri)} in a browser")
            return
        exposed = "read, change and delete all runs and models, and read the files of this store"
        if (warning := server.check_address(host, port, expose, exposed)) is not None:
            print_warning(warning)
        address = f"http://{server.url_host(host)}:{port}"
        pages, console = lines(address, store), standard_output()
        for line in pages or [NO_STUDY]:
            print_line(console, line)
        print_line(console, f"All studies and models: {address}")
        print_line(console, "The MLflow UI starts in a few seconds. Press Ctrl-C to end it.")
        environment = {
            "_MLFLOW_SERVER_FILE_STORE": store.tracking_uri,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(store.home / "artifacts"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        raise typer.Exit(server.run("sslwear.deployment.serving.mlflow_ui:app", host, port, environment))


def dashboard(port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8080) -> None:
    """Browse trials in Optuna's dashboard, on this machine only (extra: dashboard)."""
    with user_errors("the server has ended"):
        from sslwear.deployment.serving import server
        from sslwear.deployment.serving.access import checked_wsgi
        from sslwear.errors import StudyError
        from sslwear.studies.database.optuna_storage import all_studies, open_storage
        from sslwear.tracking import Store

        try:
            from bottle import run
            from optuna_dashboard import wsgi
        except ImportError as error:
            raise StudyError(
                "Optuna's dashboard is not installed. Install it with pip install 'sslwear[dashboard]', or start it "
                "with make dashboard in a clone of the repository"
            ) from error
        server.check_address(LOOPBACK, port, expose=False, exposed="")
        store, console = Store.from_environment(), standard_output()
        storage, address = open_storage(store), f"http://{LOOPBACK}:{port}"
        studies = all_studies(store)
        for line in [f"{study.study_name}: {address}/dashboard/studies/{study._study_id}" for study in studies] or [
            NO_STUDY
        ]:
            print_line(console, line)
        print_line(console, "Press Ctrl-C to end it.")
        # a server loses a Ctrl-C that arrives during an answer; in a thread it cannot receive one
        arguments = (checked_wsgi(wsgi(storage), LOOPBACK),)
        options = {"host": LOOPBACK, "port": port, "quiet": True}
        thread = Thread(target=run, args=arguments, kwargs=options, daemon=True)
        thread.start()
        try:
            thread.join()
        except KeyboardInterrupt:
            return


def ui_command(store: Store) -> str:
    """How to browse a store: a command or an address."""
    if store.tracking_uri.startswith(("http://", "https://")):
        return f"a browser at {masked(store.tracking_uri)}"
    in_clone = Path.cwd() == Path(__file__).resolve().parents[2] and Path("Makefile").is_file()
    return "make ui (or sslwear ui)" if in_clone else "sslwear ui"
