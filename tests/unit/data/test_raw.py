"""Raw files are found and read alike in folders, in zip files, and in zip files within."""

import gzip
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sslwear.data.sources.raw import MAX_ARCHIVES, Raw, natural
from sslwear.errors import DataError

FILES = {
    "study/P1.csv": b"one",
    "study/P10.csv": b"ten",
    "study/P9.csv": b"nine",
    "study/notes.csv": b"no",
    "study/P2.csv.gz": gzip.compress(b"two"),
    "study/.hidden/P3.csv": b"no",
    "study/._P4.csv": b"no",
    "__MACOSX/study/P5.csv": b"no",
}
PATTERN = r"P(\d+)\.csv(?:\.gz)?"


def packed(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    return folder


def archive(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


PLACES: dict[str, Callable[[Path], Path]] = {
    "folder": lambda folder: unpacked(folder / "raw", FILES),
    "zip": lambda folder: archive(folder / "raw.zip", packed(FILES)),
    "zip in a folder": lambda folder: unpacked(folder / "raw", {"data.zip": packed(FILES), "readme.txt": b""}),
    "zip in a zip in a folder": lambda folder: unpacked(
        folder / "raw", {"data.zip": packed({"inner/DATA.ZIP": packed(FILES), "readme.pdf": b""}), "notes.txt": b""}
    ),
    "zip in a zip": lambda folder: archive(folder / "raw.zip", packed({"data.zip": packed(FILES), "readme.txt": b""})),
}


@pytest.mark.parametrize("place", PLACES)
def test_files_are_found_in_natural_order_and_read(tmp_path: Path, place: str) -> None:
    raw = Raw(PLACES[place](tmp_path))
    for same in (raw, pickle.loads(pickle.dumps(raw))):
        found = same.find(PATTERN)
        assert [match[1] for _, match in found] == ["1", "2", "9", "10"]
        assert [same.read_text(name) for name, _ in found] == ["one", "two", "nine", "ten"]


@pytest.mark.parametrize("place", PLACES)
def test_a_changed_file_has_another_state(tmp_path: Path, place: str) -> None:
    raw = Raw(PLACES[place](tmp_path))
    name = raw.find(r"P9\.csv")[0][0]
    before = raw.stamp(name)
    assert raw.stamp(name) == before
    disk = next(path for path in tmp_path.rglob("*") if path.name in ("P9.csv", "raw.zip", "data.zip"))
    os.utime(disk, (0, 0))
    assert raw.stamp(name) != before
    disk.unlink()
    assert raw.stamp(name) == (0, 0)


def test_many_zip_files_side_by_side_are_not_all_unpacked(tmp_path: Path) -> None:
    inner = {f"{i}.zip": packed({f"P{i}.csv": b""}) for i in range(MAX_ARCHIVES + 1)}
    assert Raw(archive(tmp_path / "raw.zip", packed(inner))).find(PATTERN) == []
    del inner["0.zip"]
    assert len(Raw(archive(tmp_path / "raw.zip", packed(inner))).find(PATTERN)) == MAX_ARCHIVES


def test_a_pattern_is_a_whole_name_or_path(tmp_path: Path) -> None:
    raw = Raw(unpacked(tmp_path, {"a/P1.csv": b"", "a/XP1.csv": b"", "b/P1.csv": b"", "b/P1.csv.bak": b""}))
    assert [name for name, _ in raw.find(r"P1\.csv")] == ["a/P1.csv", "b/P1.csv"]
    assert [name for name, _ in raw.find(r"b/P1\.csv")] == ["b/P1.csv"]


def test_zip_files_within_are_left_alone_where_files_are_outside_or_are_not_wanted(tmp_path: Path) -> None:
    inner = packed({"P7.csv": b"seven"})
    raw = Raw(unpacked(tmp_path / "raw", {"P1.csv": b"one", "inner.zip": inner}))
    assert [name for name, _ in raw.find(PATTERN)] == ["P1.csv"]
    only_inner = Raw(unpacked(tmp_path / "other", {"inner.zip": inner}))
    assert only_inner.find(PATTERN, outside_only=True) == []
    with only_inner.inside("inner.zip") as inside:
        assert [inside.read_text(name) for name, _ in inside.find(PATTERN)] == ["seven"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("P1.csv.gz", b"no gzip"), ("P1.csv.gz", gzip.compress(b"one" * 1000)[:30]), ("P1.csv", b"\xff\xfe\xff")],
    ids=["not packed", "cut", "not text"],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    raw = Raw(unpacked(tmp_path, {name: content}))
    with pytest.raises(DataError, match=rf"{name} (cannot be read|is not text) .*; download it again"):
        raw.read_text(name)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    content = packed({"P1.csv": bytes(range(256)) * 9})
    middle, directory = bytearray(content), bytearray(content)
    middle[60] ^= 255
    directory[content.index(b"PK\x01\x02")] ^= 255
    raw = Raw(archive(tmp_path / "raw.zip", bytes(middle)))
    with pytest.raises(DataError, match=r"raw\.zip: P1\.csv cannot be read .*; download it again"):
        raw.read_text("P1.csv")
    with pytest.raises(DataError, match=r"raw\.zip is damaged .*; download it again"):
        Raw(archive(tmp_path / "raw.zip", bytes(directory))).find(PATTERN)


def test_what_is_missing_or_no_zip_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*; give the published archive or its unpacked folder"):
        Raw(tmp_path / "absent.zip")
    for content in (b"", b"PK\x03\x04", b"<html>", packed(FILES)[:300]):
        path = archive(tmp_path / "half.zip", content)
        with pytest.raises(DataError, match=r"half\.zip is not a complete zip file; download it again"):
            Raw(path)


def test_nine_comes_before_ten() -> None:
    assert sorted(["P10", "P9", "P1", "a", "10", "P10²"], key=natural) == ["10", "P1", "P9", "P10", "P10²", "a"]
