"""MLflow's database of a store: creation, repair of an interrupted creation, upgrade, and paths after a move."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
from alembic.script import ScriptDirectory
from mlflow.store.db import utils as mlflow_schema
from sqlalchemy import NullPool, create_engine

from sslwear.errors import StudyError
from sslwear.tracking import databases

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns in which MLflow stores paths of artifacts."""
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
        if not databases.is_empty(path):
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


def relocate(database: Path, artifacts: Path) -> None:
    """Rewrite the paths of artifacts in MLflow's database, if its store was moved or copied.

    MLflow stores absolute paths, which are still those of the old folder.

    Args:
        database: MLflow's database.
        artifacts: folder of the artifacts, which moves with the database.
    """
    with databases.connect(database) as connection:
        experiments = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
        roots = {root for name, location in experiments if (root := _root(name, location)) is not None}
        for root in sorted(roots - {artifacts.as_uri()}):
            before = Path(url2pathname(urlsplit(root).path))
            if not _moved(before, artifacts):
                continue
            for old, new in ((root, artifacts.as_uri()), (str(before), str(artifacts))):
                for table, column in LOCATIONS:
                    begins = f"substr({column}, 1, ?) = ?"
                    change = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {begins}"  # noqa: S608
                    connection.execute(change, (new, len(old) + 1, len(old) + 1, f"{old}/"))


@cache
def _revisions() -> tuple[str, ...]:
    """Versions of the schema that the installed MLflow knows, newest first."""
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return tuple(script.revision for script in scripts.walk_revisions())


def _another_version(path: Path, found: str | None) -> str:
    if "experiments" not in databases.tables(path):
        return f"the database {path} is that of another program. MLflow needs a file of its own: correct its address"
    if found is None:
        return f"the database {path} is incomplete. {databases.RESTORE}"
    if found not in _revisions():
        return (
            f"the database {path} was made by a newer MLflow than the installed {mlflow.__version__}. "
            "Update it with pip install -U mlflow"
        )
    return (
        f"the database {path} was made by an older MLflow than the installed {mlflow.__version__}, and needs an "
        f"upgrade. {UPGRADE}"
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


def _root(name: str, location: str | None) -> str | None:
    """URI of the folder of artifacts in which an experiment was created; None for experiments of other programs."""
    end = Path("/artifacts", name).as_uri().removeprefix("file://")
    if location is None or not location.startswith("file:///") or not location.endswith(end):
        return None
    return location.removesuffix(end) + "/artifacts"


def _moved(before: Path, now: Path) -> bool:
    """Whether the artifacts are in the new place; not if both paths lead to one folder, or only the old one exists."""
    try:
        return now.is_dir() and not before.samefile(now)
    except OSError:  # the old folder does not exist, or another user's folder is above it
        return True
