"""Schema of MLflow's database: creation, repair of an interrupted creation, and upgrade."""

from __future__ import annotations

from pathlib import Path

import mlflow
from alembic.script import ScriptDirectory
from mlflow.store.db import utils as mlflow_schema
from sqlalchemy import NullPool, create_engine

from sslwear.errors import StudyError
from sslwear.tracking import databases

CONTENT = ("experiments WHERE name != 'Default'", "runs", "registered_models", "trace_info")
"""Rows that somebody made; the default experiment comes with the tables."""
UPGRADE = "Run 'sslwear store upgrade', which keeps a backup"


def prepare(path: Path) -> None:
    """Create a missing database of MLflow, replace one whose creation was interrupted, and check the others.

    The caller holds a lock between processes.

    Raises:
        StudyError: when it cannot be used, or was made by another version of MLflow.
    """
    if path.exists():
        databases.check(path)
        found = databases.revision(path)
        if found == _revisions()[0]:
            return
        if not databases.is_empty(path, CONTENT):
            raise StudyError(_another_version(path, found))
        databases.set_aside(path)
    with databases.replaced(path) as making:
        _apply(making, new=True)


def upgrade(path: Path) -> Path | None:
    """Bring a database of MLflow to the schema of the installed version.

    Works on a copy that takes the place of the database when it is complete. The caller holds a lock.

    Returns:
        The backup; None if the schema was the right one.

    Raises:
        StudyError: when it cannot be upgraded; the database is unchanged.
    """
    databases.check(path)
    found = databases.revision(path)
    if found == _revisions()[0]:
        return None
    if found not in _revisions():
        raise StudyError(_another_version(path, found))
    databases.check_unused(path)
    backup = databases.back_up(path)
    with databases.replaced(path) as making:
        databases.copy(path, making)
        try:
            _apply(making, new=False)
        except Exception as error:  # a migration may raise anything
            raise StudyError(
                f"MLflow could not upgrade {path} ({type(error).__name__}: {error}). It is unchanged"
            ) from error
    return backup


def _revisions() -> tuple[str, ...]:
    """Versions of the schema that the installed MLflow knows, newest first."""
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return tuple(script.revision for script in scripts.walk_revisions())


def _another_version(path: Path, found: str | None) -> str:
    if found is None:
        return f"the database {path} is incomplete. {databases.RESTORE}"
    if found not in _revisions():
        return (
            f"the database {path} was made by a newer MLflow than the installed {mlflow.__version__}. "
            "Update it with pip install -U mlflow"
        )
    return (
        f"the database {path} was made by an older MLflow than the installed {mlflow.__version__}, and its schema must "
        f"be upgraded. {UPGRADE}"
    )


def _apply(path: Path, new: bool) -> None:
    """Apply MLflow's migrations, to an empty file after its first tables were made.

    MLflow has no public function for it that works in all supported versions.
    """
    engine = create_engine(databases.url_of(path), poolclass=NullPool)
    try:
        if new:
            mlflow_schema._initialize_tables(engine)  # type: ignore[no-untyped-call]
        else:
            mlflow_schema._upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
