"""SQLite databases of a store: addresses, checks, creation, backups and failures."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, NullPool, create_engine, make_url, text

from sslwear.errors import StudyError
from sslwear.utils.files import synchronise
from sslwear.utils.locks import owned_by

LOCKED_S = 60
"""Seconds to wait for another program that holds the lock of a database."""
CREATION_KEY = 7_318_202
"""Number of the lock on a PostgreSQL server under which tables are created; any number that others do not use."""
MADE = {"alembic_version": "0", "version_info": "0", "workspaces": "0", "experiments": "name != 'Default'"}
"""Conditions of rows that somebody made, in tables of MLflow and Optuna that have others from the start."""
RESTORE = "Restore it from a backup, or move it away to start anew"
FAILURES = {
    "locked": "is locked by another program, such as a backup or a database browser. Close that program",
    "full": "cannot grow because the disk is full. Free some space",
    "readonly": "cannot be written to. Check its permissions, and those of its folder",
    "unable to open": "cannot be opened. Check its permissions, and those of its folder",
    "malformed": f"is damaged. {RESTORE}",
    "not a database": f"is damaged. {RESTORE}",
    "disk i/o": "cannot be read or written because of an input/output error. Check the disk",
    "no such table": f"is incomplete. {RESTORE}",
    "no such column": f"is incomplete. {RESTORE}",
}
"""What SQLite's messages mean, by a part of the message."""


def url_of(path: Path, read_only: bool = False) -> str:
    """Address of an SQLite file for SQLAlchemy, which decodes special characters such as ``?`` and ``%``.

    Args:
        path: absolute path of the file.
        read_only: whether the database is only read; nothing is written beside it either.
    """
    if read_only:
        file = URL.create("sqlite+pysqlite", database=f"file:{quote(str(path))}", query=_reading(path))
        return file.update_query_dict({"uri": "true"}).render_as_string()
    url = URL.create("sqlite", database=str(path)).render_as_string()
    # With plain sqlite:/// MLflow would create a folder of the encoded name.
    return url if url == f"sqlite:///{path}" else url.replace("sqlite:", "sqlite+pysqlite:", 1)


def _reading(path: Path) -> dict[str, str]:
    """SQLite's options for reading alone. Without a write-ahead log nobody writes, and no lock file is needed."""
    return {"mode": "ro"} if path.with_name(f"{path.name}-wal").exists() else {"mode": "ro", "immutable": "1"}


def path_of(url: str) -> Path | None:
    """File of an address; None for other databases and for those in memory."""
    if not url.startswith("sqlite"):
        return None
    database = make_url(url).database
    return Path(database) if database and not database.startswith((":memory:", "file:")) else None


@contextmanager
def one_at_a_time(url: str) -> Iterator[None]:
    """Block in which no other process, of any machine, creates tables in a database on a PostgreSQL server.

    Two processes that create the same tables at the same time would both fail. Other databases are created by one
    machine, whose processes have a lock of their own, or by their administrator.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: when the server cannot be reached.
    """
    if not url.startswith("postgresql"):
        yield
        return
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:  # the lock ends with the connection
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": CREATION_KEY})
        yield


@contextmanager
def connect(path: Path, read_only: bool = False, timeout_s: float = LOCKED_S) -> Iterator[sqlite3.Connection]:
    """Connection to an existing SQLite file; the block is one transaction."""
    options = _reading(path) if read_only else {"mode": "rw"}
    query = "&".join(f"{key}={value}" for key, value in options.items())
    connection = sqlite3.connect(f"file:{quote(str(path))}?{query}", uri=True, timeout=timeout_s)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def check(path: Path, read_only: bool = False) -> None:
    """Check that an existing file is an SQLite database that can be read.

    Raises:
        StudyError: when it is a folder, damaged, or not readable for this user.
    """
    if path.is_dir():
        raise StudyError(f"{path} is a folder, but the store keeps a database there. Move the folder away")
    if not os.access(path, os.R_OK):
        raise StudyError(f"cannot read the database {path}{owned_by(path)}. Ask for permission to read it")
    try:
        with connect(path, read_only) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise StudyError(f"the database {path} {failure(error) or f'cannot be used ({error})'}") from error


def failure(error: BaseException) -> str | None:
    """What an error of SQLite means and what to do, as the end of a sentence; None for other errors.

    Args:
        error: the error, or one that it caused.
    """
    at: BaseException | None = error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if isinstance(at, sqlite3.Error):
            message = str(at).lower()
            return next((text for part, text in FAILURES.items() if part in message), None)
        at = at.__cause__ or at.__context__
    return None


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Empty file beside a database, which takes its place at the end of the block if there was no error.

    A killed process therefore never leaves a database that is only partly made. The caller holds a lock. The file is
    readable for this user only, and has write-ahead logging, so that readers do not wait for a writer. A link to a
    database is followed.

    Raises:
        StudyError: when the folder of the database cannot be created, or the database is a link to a missing file.
    """
    if path.is_symlink() and not path.exists():
        raise StudyError(
            f"the database {path} is a link to {path.readlink()}, which does not exist. Restore it, or remove the link"
        )
    path = path.resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise StudyError(
            f"cannot create the folder of the database {path} ({error.strerror}). Correct the address of the store"
        ) from error
    making = path.with_name(f".{path.name}.making")
    _delete(making)
    try:
        os.close(os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield making
        with connect(making) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        synchronise(making)
        making.rename(path)
        synchronise(path.parent)
    finally:
        _delete(making)


def _delete(path: Path) -> None:
    """Delete a database with its journals."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def copy(path: Path, target: Path, read_only: bool = False) -> None:
    """Copy a database, what is in its write-ahead log included, into an empty file.

    Raises:
        sqlite3.Error: when one of them cannot be used.
    """
    with connect(path, read_only) as source, connect(target) as destination:
        source.backup(destination)


def back_up(path: Path) -> Path:
    """Copy of a database beside it, with the time in its name."""
    backup = path.with_name(f"{path.stem}-{datetime.now():%Y%m%d-%H%M%S}.backup.db")
    with replaced(backup) as making:
        copy(path, making)
    return backup


def check_unused(path: Path) -> None:
    """Check that no other program has a database open, and put its journal into the file.

    Raises:
        StudyError: when another program has it open.
    """
    try:
        with connect(path, timeout_s=5) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise StudyError(
            f"the database {path} is open in another program, such as sslwear ui ({error}). Close that program"
        ) from error


def set_aside(path: Path) -> None:
    """Rename a database that was only partly made and has no content; an earlier one is overwritten."""
    check_unused(path)
    path.rename(path.with_name(f"{path.name}.incomplete"))


def revision(path: Path) -> str | None:
    """Version of a database's schema; None if its creation was interrupted."""
    rows = _rows(path, "SELECT version_num FROM alembic_version")
    return str(rows[0][0]) if rows else None


def tables(path: Path) -> list[str]:
    """Names of the tables of a database, which may be that of another program."""
    return [name for (name,) in _rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]


def is_empty(path: Path) -> bool:
    """Whether nobody has made a row in any table."""
    made = ((name.replace('"', '""'), MADE.get(name, "1")) for name in tables(path))
    return not any(_rows(path, f'SELECT 1 FROM "{name}" WHERE {rows} LIMIT 1') for name, rows in made)  # noqa: S608


def _rows(path: Path, query: str) -> list[tuple[str]]:
    """Result of a query; empty if the table does not exist."""
    with connect(path) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
