"""The ``sslwear store`` commands: care of the store's databases."""

from __future__ import annotations

import typer

from sslwear.cli.terminal import print_line, standard_output, user_errors

store_app = typer.Typer(no_args_is_help=True, help="Care for the store's databases.")


@store_app.command("upgrade")
def store_upgrade() -> None:
    """Upgrade databases that an older MLflow or Optuna made; a backup of each is kept beside it."""
    with user_errors("the databases are complete, upgraded or as before"):
        from sslwear.studies.storage import upgrade_store
        from sslwear.tracking import Store

        console = standard_output()
        for path, backup in upgrade_store(Store.from_environment()):
            if backup is None:
                print_line(console, f"{path}: nothing to upgrade.")
            else:
                print_line(console, f"{path}: upgraded. Backup: {backup}")
