"""The ``sslwear store`` commands: care of the store."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sslwear.cli.terminal import print_line, standard_output, user_errors

store_app = typer.Typer(no_args_is_help=True, help="Check, back up, move and upgrade the store.")


@store_app.command("check")
def store_check() -> None:
    """Check databases, files of checkpoints and models, and whether trials have their runs."""
    with user_errors():
        from sslwear.studies.database.optuna_storage import store_errors
        from sslwear.studies.database.store_check import check_store
        from sslwear.tracking import Store

        console, problems = standard_output(), 0
        store = Store.from_environment(write=False)
        with store_errors(store):
            for finding in check_store(store):
                problems += finding.problem
                print_line(console, f"{'PROBLEM' if finding.problem else 'ok':8}{finding.what}: {finding.text}")
        print_line(console, f"\n{store.home}: {problems or 'no'} problem{'s' * (problems != 1)}.")
        if problems:
            raise typer.Exit(1)


@store_app.command("backup")
def store_backup(
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder; by default beside the store, with the time.")
    ] = None,
) -> None:
    """Copy databases and artifacts, also while studies run, to a folder that is a store itself."""
    with user_errors("the backup was not made"):
        from sslwear.tracking import Store, databases
        from sslwear.tracking.store_folder import back_up

        store, console = Store.from_environment(write=False), standard_output()
        made = back_up(store, out)
        print_line(console, f"Backup: {made}. Look at it with SSLWEAR_HOME={shlex.quote(str(made))} sslwear study list")
        if databases.path_of(store.storage_url) is None:
            print_line(console, "Trials are in another database (SSLWEAR_STORAGE), which it does not contain.")


@store_app.command("move")
def store_move(
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The new folder, which does not exist or is empty.")],
) -> None:
    """Move the store to another folder, with the paths that MLflow records."""
    with user_errors("the store is whole, in its old or its new folder"):
        from sslwear.tracking import HOME_VARIABLE, Store
        from sslwear.tracking.store_folder import move

        store, console = Store.from_environment(), standard_output()
        moved = move(store, new)
        print_line(console, f"The store is now {moved}. Use it with {HOME_VARIABLE}={shlex.quote(str(moved))}")
        print_line(console, f"Without {HOME_VARIABLE}, commands start a new store in mlruns/.")


@store_app.command("upgrade")
def store_upgrade() -> None:
    """Upgrade databases that an older MLflow or Optuna made; a backup of each is kept beside it."""
    with user_errors("the databases are complete, upgraded or as before"):
        from sslwear.studies.database.optuna_storage import upgrade_store
        from sslwear.tracking import Store

        console = standard_output()
        for path, backup in upgrade_store(Store.from_environment()):
            if backup is None:
                print_line(console, f"{path}: nothing to upgrade.")
            else:
                print_line(console, f"{path}: upgraded. Backup: {backup}")
