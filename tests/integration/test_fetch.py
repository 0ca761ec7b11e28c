"""Downloads from a server that cuts connections, sends the wrong bytes, or is not there."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.throwaway import free_port
from sslwear.cli.app import app
from sslwear.data.downloads import fetch, terms
from sslwear.data.sources.adl import Adl
from sslwear.data.sources.base import Archive, Source, find
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.errors import DataError
from sslwear.utils.digests import sha256


def packed(content: bytes) -> bytes:
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            zipfile.ZipInfo("data.bin"), content
        )  # of a fixed date, so that its checksum is always the same
    return file.getvalue()


CONTENT = packed(bytes(range(256)) * 20_000)
NEWER = packed(bytes(range(256))[::-1] * 20_000)
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


class Server(ThreadingHTTPServer):
    """Serves `content`; `cuts` connections are cut half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts = 0
        self.ranges = True
        self.asked: list[str | None] = []
        self.content = CONTENT
        self.version: dict[str, str] = {"ETag": '"1"'}
        self.kind = "application/zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path != "/data+set.zip":
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if self.headers.get("If-Range") not in (None, *self.server.version.values()):
            first = 0
        if first >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", self.server.kind)
        for name, value in self.server.version.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def source(server: Server | None, digest: str | None = None, name: str = "data+set.zip") -> type[Source]:
    """ADL, published at a server of ours."""
    port = server.server_port if server else free_port()
    archive = Archive(f"http://127.0.0.1:{port}/{name}", digest, "5 MB")
    return type("Local", (Adl,), {"archives": (archive,)})


def kept(asked: str | None) -> int:
    """How many bytes a client had already."""
    assert asked is not None
    return int(asked.removeprefix("bytes=").rstrip("-"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith((".part", ".part.version")))


@pytest.mark.parametrize("digest", [None, hashlib.sha256(CONTENT).hexdigest()])
def test_an_archive_is_downloaded_once(server: Server, tmp_path: Path, digest: str | None) -> None:
    heard: list[tuple[int, int]] = []
    (path,) = fetch(source(server, digest), tmp_path / "new", lambda done, total: heard.append((done, total)))
    assert path.name == "data-set.zip"
    assert path.read_bytes() == CONTENT
    assert sha256(path) == hashlib.sha256(CONTENT).hexdigest()
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(source(server, digest), tmp_path / "new") == [path]
    assert server.asked == [None]
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["data-set.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.cuts, server.ranges = 2, ranges
    (path,) = fetch(source(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 3
    first, *others = server.asked
    assert first is None
    assert all(0 < kept(asked) < len(CONTENT) for asked in others)
    assert kept(others[1]) > kept(others[0]) or not ranges


def test_a_connection_that_is_always_cut_is_one_sentence_and_the_next_call_goes_on(
    server: Server, tmp_path: Path
) -> None:
    server.cuts = 2
    with pytest.raises(DataError) as caught:
        fetch(source(server), tmp_path, attempts=2)
    message = str(caught.value)
    assert "/data+set.zip cannot be downloaded (the connection was cut); try again, or download it from" in message
    assert Adl.homepage in message
    assert files(tmp_path) == []
    (path,) = fetch(source(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert 0 < kept(server.asked[1]) < kept(server.asked[2])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"1"'}, {"ETag": '"2"'}),
        ({"Last-Modified": DATE}, {"Last-Modified": DATE.replace("2015", "2016")}),
        ({"ETag": 'W/"1"', "Last-Modified": DATE}, {"ETag": 'W/"1"', "Last-Modified": DATE.replace("2015", "2016")}),
        ({}, {}),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}),
    ],
)
def test_a_file_that_changed_meanwhile_is_not_glued_to_what_was_there(
    server: Server, tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    server.cuts, server.version = 1, before
    with pytest.raises(DataError, match="the connection was cut"):
        fetch(source(server), tmp_path, attempts=1)
    server.content, server.version = NEWER, after
    (path,) = fetch(source(server), tmp_path)
    assert path.read_bytes() == NEWER
    assert [file.name for file in tmp_path.iterdir()] == ["data-set.zip"]


@pytest.mark.parametrize("version", [{"Last-Modified": DATE}, {"ETag": 'W/"1"', "Last-Modified": DATE}])
def test_the_same_version_is_gone_on_with(server: Server, tmp_path: Path, version: dict[str, str]) -> None:
    server.cuts, server.version = 1, version
    (path,) = fetch(source(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert 0 < kept(server.asked[1]) < len(CONTENT)


def test_a_page_instead_of_an_archive_is_refused_and_nothing_is_kept(server: Server, tmp_path: Path) -> None:
    server.content, server.kind = b"<html>Please log in.</html>", "text/html"
    with pytest.raises(DataError, match=r"does not give a zip file \(but text/html\); download"):
        fetch(source(server), tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT
    (path,) = fetch(source(server), tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not have the known checksum, so it was changed or damaged"):
        fetch(source(server, "0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_of_another_download_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".data-set.zip.part").write_bytes(CONTENT + b"more")
    (tmp_path / ".data-set.zip.part.version").write_text('"1"')
    (path,) = fetch(source(server), tmp_path)
    assert path.read_bytes() == CONTENT


def test_what_the_server_does_not_have_is_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/gone\.zip cannot be downloaded \(the server answers 404 Not Found\)"):
        fetch(source(server, name="gone.zip"), tmp_path)
    assert files(tmp_path) == []


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be downloaded \(the server cannot be reached\); try again, or"):
        fetch(source(None), tmp_path)


def test_a_folder_that_cannot_be_made_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write .*; give another folder with --out"):
        fetch(source(server), tmp_path / "file" / "below")


def test_what_comes_along_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="smartwatch needs no download, because it is part of the installation"):
        fetch(Smartwatch, tmp_path)


@pytest.mark.parametrize("name", [name for name, source in find().items() if source.archives])
def test_terms_say_licence_and_citation(name: str) -> None:
    text = terms(find()[name])
    for fact in (find()[name].licence, find()[name].citation, find()[name].homepage):
        assert fact in text


def test_the_command_shows_terms_first_and_what_to_type_next(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Adl, "archives", source(server).archives)
    result = CliRunner().invoke(app, ["data", "fetch", "adl", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.stdout.index(Adl.licence) < result.stdout.index("data-set.zip")
    assert hashlib.sha256(CONTENT).hexdigest() in result.stdout
    assert f"sslwear data prepare adl --raw {tmp_path / 'data-set.zip'} --out " in result.stdout
