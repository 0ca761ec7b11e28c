"""Checks of the addresses of stores that a user gives."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sslwear.errors import StudyError
from sslwear.tracking.databases import path_of
from sslwear.utils.masking import masked, one_line

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")


def is_database(address: str) -> bool:
    """Whether an address is one of a database."""
    return address.partition(":")[0].partition("+")[0] in DATABASES


def check_tracking(variable: str, address: str) -> None:
    """Check the form of the address of an MLflow store.

    Raises:
        StudyError: when it has no meaning, or MLflow no longer supports it.
    """
    scheme, separator, _ = address.partition("://")
    if not separator or scheme == "file":
        raise StudyError(
            f"{variable} is {masked(address)!r}, but MLflow no longer stores runs in plain folders. "
            "Set it to http://HOST:PORT or sqlite:///PATH, or unset it"
        )
    if scheme in SERVERS:
        try:
            parts = urlsplit(address)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise StudyError(
                f"{variable} is not a web address. Write {scheme}://HOST:PORT or {scheme}://USER:PASSWORD@HOST:PORT, "
                "with special characters of the password percent-encoded"
            )
    elif is_database(address):
        check_database(variable, address)


def check_database(variable: str, address: str) -> None:
    """Check the form of the address of a database.

    Raises:
        StudyError: when it cannot be parsed, names no database, or its password has an ``@`` that is not encoded.
    """
    server = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    form = f"Write sqlite:///PATH or {server}, or unset it to use the embedded store"
    try:
        url = sqlalchemy.make_url(address)
    except (ArgumentError, ValueError) as error:  # the error would show a password
        raise StudyError(f"{variable} is not the address of a database. {form}") from error
    if not is_database(address):
        raise StudyError(f"{variable} names a database of the kind {url.drivername!r}, which is not known. {form}")
    if address.startswith("sqlite"):
        if path_of(address) is None:
            raise StudyError(f"{variable} names no file. {form}")
    elif "@" in (url.host or "") + (url.database or ""):
        raise StudyError(f"the password in {variable} contains '@'. Write %40 for it")


def check_answers(role: str, variable: str, address: str) -> None:
    """Connect to a database on a server once; MLflow itself would try for minutes.

    Args:
        role: name of the database in messages.
        variable: environment variable that has the address.
        address: address of the database.

    Raises:
        StudyError: when it does not answer, or its driver is not installed.
    """
    try:
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
        engine.connect().close()
    except ImportError as error:
        raise StudyError(without_driver(variable, address, error)) from error
    except (SQLAlchemyError, ValueError) as error:
        raise StudyError(
            f"the {role} {masked(address)} does not answer ({one_line(error)}). "
            f"Check {variable}, or unset it to use the embedded store"
        ) from error


def without_driver(variable: str, address: str, error: ImportError) -> str:
    """Message about a database whose driver is not installed.

    Args:
        variable: environment variable that has the address.
        address: address of the database.
        error: what was raised without it.
    """
    install = f"Install it ({one_line(error)})"
    if address.startswith("postgresql"):  # which stands for another driver than ours with SQLAlchemy before 2.1
        install = "Run pip install 'sslwear[postgres]' and begin the address with postgresql+psycopg://"
    return f"the driver of {masked(address)} in {variable} is not installed. {install}, or unset {variable}"
