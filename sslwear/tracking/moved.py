"""Stores that were moved: MLflow stores absolute paths of artifacts, which are rewritten for the new folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sslwear.tracking import databases

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns in which MLflow stores paths of artifacts."""


def relocate(database: Path, artifacts: Path) -> None:
    """Rewrite the paths of artifacts in MLflow's database, if its store was moved or copied.

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
