"""Downloads of the published archives of data sources."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch
import requests

from sslwear.data.sources.base import Archive, Source
from sslwear.errors import DataError

pooch.get_logger().setLevel("WARNING")
ATTEMPTS = 3
TIMEOUT_S = 60.0
CHUNK_BYTES = 2**16


def terms(source: type[Source]) -> str:
    """Title, licence, citation, size and homepage of a source, as text."""
    sizes = ", ".join(archive.size for archive in source.archives)
    return (
        f"{source.title} ({sizes})\nlicence:  {source.licence}\nplease cite: {source.citation}\n"
        f"homepage: {source.homepage}"
    )


def fetch(
    source: type[Source],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    attempts: int = ATTEMPTS,
) -> list[Path]:
    """Download the archives of a source into a folder; complete archives are not downloaded again.

    An archive is complete when it has all bytes that the server announced, is a zip file, and has the right checksum
    where one is known. An interrupted download continues where it stopped, also in the next call, when the server
    supports this and its file is unchanged.

    Args:
        source: the source.
        folder: folder to write to.
        progress: callback with the number of bytes downloaded and of all bytes (0 where the server does not tell it).
        attempts: number of attempts after a lost connection.

    Returns:
        The files.

    Raises:
        DataError: when a download fails.
    """
    if not source.archives:
        raise DataError(
            f"{source.name} needs no download, because it is part of the installation; use it as data: {source.name}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; give another folder with --out") from error
    return [_fetch(source, archive, folder, progress, attempts) for archive in source.archives]


def _fetch(
    source: type[Source],
    archive: Archive,
    folder: Path,
    progress: Callable[[int, int], None] | None,
    attempts: int,
) -> Path:
    name = unquote(urlsplit(archive.url).path).replace("+", "-").rsplit("/", 1)[-1]
    name = name if "." in name else f"{name}.zip"
    by_hand = f"download it from {source.homepage} and give its path with --raw"
    try:
        path = pooch.retrieve(
            archive.url,
            f"sha256:{archive.sha256}" if archive.sha256 else None,
            fname=name,
            path=folder,
            downloader=_Resuming(folder / f".{name}.part", progress, attempts),
        )
    except requests.RequestException as error:
        raise DataError(f"{archive.url} cannot be downloaded ({_reason(error)}); try again, or {by_hand}") from error
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive.url} does not give a zip file ({error}); {by_hand}") from error
    except ValueError as error:  # a wrong checksum
        raise DataError(
            f"{archive.url} does not have the known checksum, so it was changed or damaged; try again, or {by_hand}"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot write to {folder} ({error.strerror or error}); give another folder with --out"
        ) from error
    return Path(path)


class _Resuming:
    """A downloader for pooch that continues interrupted downloads, and refuses incomplete and non-zip files.

    Args:
        part: file for an unfinished download; the server's version of the file is beside it, in ``.version``.
        progress: callback with numbers of bytes, see `fetch`.
        attempts: number of attempts after a lost connection.
    """

    def __init__(self, part: Path, progress: Callable[[int, int], None] | None, attempts: int) -> None:
        self._part = part
        self._version = part.with_name(f"{part.name}.version")
        self._progress = progress or (lambda done, total: None)
        self._attempts = attempts

    def __call__(self, url: str, output_file: str, _: object) -> None:
        """Download `url` to `output_file`.

        Raises:
            requests.RequestException: when the download fails.
            zipfile.BadZipFile: when the file is not a zip file, with the type that the server gives.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                kind = self._download(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == self._attempts:
                    raise
        self._version.unlink(missing_ok=True)
        if not zipfile.is_zipfile(self._part):  # such as the login page of a network
            self._part.unlink()
            raise zipfile.BadZipFile(f"but {kind}")
        self._part.replace(output_file)

    def _download(self, url: str) -> str:
        """Download the missing bytes; returns the type of file that the server gives."""
        have = self._part.stat().st_size if self._part.is_file() else 0
        version = self._version.read_text(encoding="utf-8") if self._version.is_file() else ""
        # identity: a server that compresses would announce another length than that of the file
        headers = {"Accept-Encoding": "identity"}
        if have and version:  # without a version, parts of two different files could be joined
            headers |= {"Range": f"bytes={have}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                self._part.unlink()
                raise requests.ConnectionError("the unfinished download does not match the server's file")
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            have = have if resumed else 0
            if not resumed:
                self._version.write_text(_version(answer.headers), encoding="utf-8")
            total = have + int(answer.headers.get("Content-Length", 0))
            with self._part.open("ab" if resumed else "wb") as file:
                for chunk in answer.iter_content(CHUNK_BYTES):
                    file.write(chunk)
                    have += len(chunk)
                    self._progress(have, total)
        if have < total:
            raise requests.ConnectionError(f"the connection was cut after {have} of {total} bytes")
        return str(answer.headers.get("Content-Type", "something else"))


def _version(headers: Mapping[str, str]) -> str:
    """The server's version of a file, or an empty text where it does not support the rest of a version."""
    tag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    cut = isinstance(error, requests.exceptions.ChunkedEncodingError) or "cut after" in str(error)
    return "the connection was cut" if cut else "the server cannot be reached"
