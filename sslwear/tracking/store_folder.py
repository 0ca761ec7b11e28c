"""The folder of the embedded store as a whole: moving it, and a backup of it."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path

from sslwear.errors import StudyError
from sslwear.tracking import Store, databases, mlflow_database, open_runs
from sslwear.utils.masking import masked
from sslwear.utils.paths import user_path

DATABASES = ("optuna.db", "mlflow.db")
"""In the order of a backup: a trial ends in MLflow first, so that a copied trial that is finished has its run."""
ARTIFACTS = "artifacts"


def move(store: Store, new: Path) -> Path:
    """Move the store to another folder, and correct the paths of artifacts that MLflow records.

    On another disk the store is copied, and deleted in the old place when the copy is complete. A killed process leaves
    the whole store in one of the two places.

    Args:
        store: an embedded store.
        new: the new folder, which does not exist or is empty.

    Returns:
        The new folder, as an absolute path.

    Raises:
        StudyError: when the store is in use, its runs are elsewhere, or it cannot be written to the new folder.
    """
    _check_embedded(store, "moved")
    new = user_path(new).absolute().resolve()
    if new == store.home or store.home in new.parents:
        raise StudyError(f"{new} is the store itself or a folder inside of it. Give another folder")
    if new.exists() and not (new.is_dir() and not any(new.iterdir())):
        raise StudyError(f"{new} exists already and is no empty folder. Give the name of a new folder")
    with store.initialising():
        _check_unused(store)
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            _move_folder(store.home, new)
        except OSError as error:
            raise StudyError(
                f"cannot move the store to {new} ({error.strerror or error}). It is still in {store.home}"
            ) from error
        for name in DATABASES:
            if (new / name).exists():
                with databases.connect(new / name) as connection:
                    connection.execute("PRAGMA journal_mode=WAL")  # readers do not wait for a writer
        if (new / "mlflow.db").exists():
            mlflow_database.relocate(new / "mlflow.db", new / ARTIFACTS)
        try:
            if store.home.exists():  # the store was copied to another disk, and the copy is complete
                shutil.rmtree(store.home)
        except OSError as error:
            raise StudyError(
                f"the store is now {new}, but the old one cannot be deleted ({error.strerror}). Delete {store.home}"
            ) from error
    return new


def back_up(store: Store, out: Path | None = None) -> Path:
    """Copy the databases and artifacts of the store, which may be in use, into a folder that is a store itself.

    The databases are copied first, so that the artifacts that they name are there. Cached features and prepared
    windows, which can be computed again, are left out.

    Args:
        store: an embedded store.
        out: the folder, which does not exist or is empty; None for one beside the store, with the time in its name.

    Returns:
        The folder.

    Raises:
        StudyError: when the runs are elsewhere, the folder exists, or it cannot be written.
    """
    _check_embedded(store, "backed up")
    beside = store.home.with_name(f"{store.home.name}-backup-{datetime.now():%Y%m%d-%H%M%S}")
    out = beside if out is None else user_path(out).absolute().resolve()
    if out == store.home or store.home in out.parents:
        raise StudyError(f"{out} is the store itself or a folder inside of it. Give another --out")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StudyError(f"{out} exists already and is no empty folder. Give another --out")
    making = out.with_name(f".{out.name}.making")
    try:
        making.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        for name in DATABASES:
            if (store.home / name).exists():
                databases.check(store.home / name, read_only=store.read_only)
                with databases.replaced(making / name) as target:
                    databases.copy(store.home / name, target, store.read_only)
        if (store.home / ARTIFACTS).is_dir():
            shutil.copytree(store.home / ARTIFACTS, making / ARTIFACTS, symlinks=True, copy_function=_copy_if_there)
        making.rename(out)
    except (OSError, shutil.Error, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)[:200]
        raise StudyError(f"cannot write the backup to {out} ({reason}). Give another --out") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return out


def _copy_if_there(source: str, target: str) -> str:
    """Copy a file, unless it was deleted since its folder was listed."""
    try:
        return str(shutil.copy2(source, target))
    except FileNotFoundError:
        return target


def _check_embedded(store: Store, done: str) -> None:
    if not store.embedded:
        raise StudyError(
            f"the runs of this store are in {masked(store.tracking_uri)}, not in the folder {store.home}, so it cannot "
            f"be {done} as a whole. Unset MLFLOW_TRACKING_URI, or use the tools of that server"
        )
    if not any((store.home / name).exists() for name in DATABASES):
        raise StudyError(f"there is no database in {store.home}, so nothing can be {done}")


def _check_unused(store: Store) -> None:
    """Refuse a store that another process uses, and put the journals of the databases into their files."""
    if open_runs.others_alive(store.home / "locks"):
        raise StudyError(f"another process is writing to the store {store.home}. Wait for it or stop it")
    for name in DATABASES:
        if (path := store.home / name).exists():
            databases.check(path)
            databases.check_unused(path)


def _rename(old: Path, new: Path) -> None:
    old.rename(new)


def _move_folder(old: Path, new: Path) -> None:
    """Rename a folder, or copy it to another disk."""
    try:
        _rename(old, new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        making = new.with_name(f".{new.name}.making")
        try:
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(old, making, symlinks=True)
            making.rename(new)
        except shutil.Error as several:
            raise OSError(str(several)[:200]) from several
        finally:
            shutil.rmtree(making, ignore_errors=True)
