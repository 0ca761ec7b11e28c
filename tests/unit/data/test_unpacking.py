"""Archives that unpack to far more than they hold."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from sslwear.data import unpacking
from sslwear.data.files.java_reader import read_device
from sslwear.data.files.table_recordings import read_table_recording
from sslwear.data.sources.raw import Raw
from sslwear.errors import DataError

ZEROS = bytes(2**22)
LARGE = "unpacks to more than 0.0 GB"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "ALWAYS_ALLOWED", 2**16)


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return content.getvalue()


def read_all(raw: Raw) -> list[str]:
    return [raw.read_text(name) for name, _ in raw.find(r"P1\.csv(\.gz)?")]


@pytest.mark.parametrize(
    "content",
    [
        zipped(P1_csv=ZEROS),
        zipped(inner_zip=zipped(P1_csv=ZEROS)),
        zipped(P1_csv_gz=gzip.compress(ZEROS)),
        zipped(inner_zip=zipped(P1_csv_gz=gzip.compress(ZEROS))),
    ],
    ids=["zip", "zip in a zip", "gz in a zip", "gz in a zip in a zip"],
)
def test_a_file_in_an_archive_may_not_unpack_to_much_more(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raw.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=LARGE):
        read_all(Raw(path))


def test_an_archive_within_is_bounded_by_the_outer_one(tmp_path: Path) -> None:
    path = tmp_path / "raw.zip"
    path.write_bytes(zipped(a_zip=zipped(P1_csv=ZEROS[: 2**18])))
    with Raw(path).inside("a.zip") as inner, pytest.raises(DataError, match=LARGE):
        inner.read_text("P1.csv")


def test_a_packed_file_in_a_folder_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "P1.csv.gz").write_bytes(gzip.compress(ZEROS))
    with pytest.raises(DataError, match=f"P1.csv.gz {LARGE}"):
        Raw(tmp_path).read_text("P1.csv.gz")


def test_device_files_are_bounded(tmp_path: Path) -> None:
    pytest.importorskip("actipy")
    (tmp_path / "a.cwa.gz").write_bytes(gzip.compress(ZEROS))
    (tmp_path / "a.gt3x").write_bytes(zipped(log_bin=ZEROS))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"time,x,y,z\n" + b"2024-01-01 00:00:00,0,0,1\n" * 200_000))
    for name in ("a.cwa.gz", "a.gt3x"):
        with pytest.raises(DataError, match=f"{name} {LARGE}"):
            read_device(tmp_path / name, tmp_path)
    with pytest.raises(DataError, match=f"a.csv.gz {LARGE}"):
        read_table_recording(tmp_path / "a.csv.gz", tmp_path)


def test_what_unpacks_to_as_much_as_recordings_do_is_read(tmp_path: Path) -> None:
    text = b"".join(b"%d,%d\n" % (i, i * 7919 % 1009) for i in range(50_000))
    (tmp_path / "raw.zip").write_bytes(zipped(P1_csv=text, P2_csv_gz=gzip.compress(text)))
    raw = Raw(tmp_path / "raw.zip")
    assert [raw.read_text(name).encode() for name in ("P1.csv", "P2.csv.gz")] == [text, text]
