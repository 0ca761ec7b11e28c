"""Downloads a source's published archives."""

from __future__ import annotations

import hashlib
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
    """What a reader should know before downloading: title, licence, citation, size, homepage."""
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
    """Download a source's archives into a folder; what is there already, whole, is not downloaded again.

    An archive gets its name when it is whole: all bytes that the server announced, a zip file, and the right checksum
    where one is known. A cut connection is taken up where it broke off, where the server can do that and says that its
    file is still the same, and otherwise tried anew; what is there of it is kept for the next call.

    Args:
        source: whose archives.
        folder: where to put them.
        progress: hears of the bytes there are and the bytes in all (0 where the server does not say).
        attempts: how often to try.

    Returns:
        The files.

    Raises:
        DataError: when it does not work, saying what to do.
    """
    if not source.archives:
        raise DataError(
            f"{source.name} is not downloaded: it brings its recordings along; use it as data: {source.name}"
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
    by_hand = f"download it by hand from {source.homepage} and give its path with --raw"
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
        raise DataError(
            f"{archive.url} does not give a zip file ({error}), and it was thrown away; {by_hand}"
        ) from error
    except ValueError as error:  # pooch's word for a wrong checksum
        raise DataError(
            f"{archive.url} does not have the checksum that is known, so it was changed or damaged on its way, and was "
            f"thrown away; try again, or {by_hand}"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot write to {folder} ({error.strerror or error}); give another folder with --out"
        ) from error
    return Path(path)


class _Resuming:
    """Downloads for pooch: checks that all is there and a zip file, and takes up again what broke off.

    Args:
        part: where an unfinished download is kept; beside it, with ``.version``, which version of the file it is of, as
            the server said.
        progress: hears of bytes.
        attempts: how often to try.
    """

    def __init__(self, part: Path, progress: Callable[[int, int], None] | None, attempts: int) -> None:
        self._part = part
        self._version = part.with_name(f"{part.name}.version")
        self._progress = progress or (lambda done, total: None)
        self._attempts = attempts

    def __call__(self, url: str, output_file: str, _: object) -> None:
        """Download `url` to `output_file`, as pooch asks.

        Raises:
            requests.RequestException: when it does not work.
            zipfile.BadZipFile: when it is something else than a zip file, with what the server calls it.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                kind = self._download(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == self._attempts:
                    raise
        self._version.unlink(missing_ok=True)
        if not zipfile.is_zipfile(self._part):  # such as the page on which a network asks to log in
            self._part.unlink()
            raise zipfile.BadZipFile(f"but {kind}")
        self._part.replace(output_file)

    def _download(self, url: str) -> str:
        """Download what is missing, and return what kind of file the server says that it is."""
        have = self._part.stat().st_size if self._part.is_file() else 0
        version = self._version.read_text() if self._version.is_file() else ""
        # identity: a server that packs on the way would announce another length than what arrives
        headers = {"Accept-Encoding": "identity"}
        if (
            have and version
        ):  # what is there of an unknown version is not gone on with: two files would be glued together
            headers |= {"Range": f"bytes={have}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                self._part.unlink()
                raise requests.ConnectionError("what was there of it does not fit")
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            have = have if resumed else 0
            if not resumed:
                self._version.write_text(_version(answer.headers))
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
    """What a server calls the version of a file, where it can be asked for the rest of that version, else nothing."""
    tag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag


def sha256(path: Path) -> str:
    """The checksum of a file, to note where none is published."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    cut = isinstance(error, requests.exceptions.ChunkedEncodingError) or "cut after" in str(error)
    return "the connection was cut" if cut else "the server cannot be reached"
