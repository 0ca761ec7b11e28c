"""Recordings that cannot be used: import and prediction refuse each in a sentence that names the file."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sslwear.deployment import registry
from sslwear.encoders.card import Card, network
from sslwear.encoders.classifier import Model
from tests.bad_inputs.answers import call, refusal, short

CARD = Card("harnet5", 150, 30.0, "g", ("rest", "walk"), "small", "0" * 64, None, reference_ranges={})
RATE_HZ, SECONDS = 50, 20
NOON = pd.Timestamp("2024-05-01 12:00")


def samples() -> pd.DataFrame:
    """Twenty seconds of a moving wrist at 50 Hz, in g."""
    count = RATE_HZ * SECONDS
    noise = np.random.default_rng(0).normal(0, 0.1, (count, 3)) + np.array([0, 0, 1])
    table = pd.DataFrame(noise.round(4), columns=["x", "y", "z"])
    table.insert(0, "time", NOON + pd.to_timedelta(np.arange(count) / RATE_HZ, unit="s"))
    return table


def text(**columns: object) -> str:
    """The samples as CSV, with some columns replaced."""
    return str(samples().assign(**columns).to_csv(index=False))


def times(values: object) -> str:
    return text(time=values)


def scaled(factor: float) -> str:
    table = samples()
    return text(**{axis: table[axis] * factor for axis in "xyz"})


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time, which would change the name of a test
    return file.getvalue()


GOOD = text()
STAMPS = samples()["time"]
COUNT = len(STAMPS)
SECONDS_SINCE = STAMPS.astype("datetime64[ns]").astype("int64") / 1e9

CSV: list[tuple[str | bytes, str]] = [
    ("", "is empty"),
    ("\n", "has no column time, x, y, z"),
    ("time,x,y,z\n", "holds no samples"),
    ("time,x,y,z", "holds no samples"),
    (GOOD[: GOOD.index("\n", 20) + 1], "window"),
    ("".join(GOOD.splitlines(True)[:60]), "window"),
    (GOOD.replace(",", "|"), "has no column time, x, y, z; its first line is 'time|x|y|z'"),
    ("".join(GOOD.splitlines(True)[1:]), "has no column time, x, y, z"),
    (GOOD.encode("utf-16"), "it is not text in UTF-8"),
    (GOOD.encode("utf-32"), "it is not text in UTF-8"),
    (bytes(range(256)) * 20, "it is not text in UTF-8"),
    (bytes(5000), "it is not text in UTF-8"),
    (b"\x89PNG\r\n\x1a\n" + bytes(200), "it is not text in UTF-8"),
    (zipped(a=GOOD.encode()), "it is not text in UTF-8"),
    (gzip.compress(GOOD.encode(), mtime=0), "it is not text in UTF-8"),
    ("<html><body>Not found</body></html>\n", "has no column"),
    ('{"time": 3}\n', "has no column"),
    (GOOD.replace("time", "timestamp"), "has no column time"),
    (GOOD.replace("time,x,y,z", "time,X,Y,Z"), "has no column x, y, z"),
    (GOOD.replace("time,x,y,z", "time,x,y,x"), "has no column z"),
    (GOOD.replace("time,x,y,z", "time,x,y,z,z").replace("\n", ",1\n"), "has the column z more than once"),
    (text(w=1).replace("time,x,y,z,w", "time,x,y,z,x"), "has the column x more than once"),
    (text(w=1).replace("time,x,y,z,w", "time,x,y,z,time"), "has the column time more than once"),
    (text(x="left"), "the column x has 'left' in sample 1"),
    (text(y=["0.1"] * (COUNT - 1) + ["-"]), "the column y has '-' in sample 1000"),
    (text(z="1,0"), "the column z has '1,0' in sample 1"),
    (text(z="1.0 g"), "the column z has '1.0 g' in sample 1"),
    (text(x="0x1F"), "the column x has '0x1F' in sample 1"),
    (text(x=""), "holds no samples"),
    (text(x=np.nan, y=np.nan, z=np.nan), "holds no samples"),
    (text(x=np.inf), "holds no samples"),
    (text(x=1e30), "1e+30"),
    (text(z=-9999.0), "9999"),
    (text(x=0, y=0, z=0), "0, 0, 0"),
    (scaled(256), "looks like raw counts"),
    (scaled(0.1), "instead of about 1"),
    (scaled(1e-20), "instead of about 1"),
    (scaled(8192), "looks like raw counts"),
    (text(z=samples()["z"] - 1), "gravity"),
    (GOOD + GOOD, "the column x has 'x' in sample 1001"),
    (GOOD.replace("\n", ",1,2\n").replace("z,1,2", "z"), "line 2 has more values than the first line has columns"),
    (
        scaled(1).replace("0.", "0,").replace("1.", "1,"),
        "more values than the first line has columns, as with decimal commas",
    ),
    (GOOD + '"2024-05-01 12:01:00,0,0,1\n', "EOF inside string"),
    (times("noon"), "time"),
    (times(""), "time"),
    (times("NaT"), "time"),
    (times("12:00:00"), "time"),
    (times("01/05/2024 12:00"), "time"),
    (times("2024-02-30 12:00"), "time"),
    (times("9999-12-31"), "the column time has years before 1678 or after 2261"),
    (times("0001-01-01"), "the column time has years before 1678 or after 2261"),
    (times(np.arange(COUNT)), "not a date and time without time zone"),
    (times(np.arange(COUNT) / RATE_HZ), "not a date and time without time zone"),
    (times(SECONDS_SINCE), "not a date and time without time zone"),
    (times((SECONDS_SINCE * 1000).astype("int64")), "not a date and time without time zone"),
    (times(STAMPS.astype(str) + "+01:00"), "without time zone"),
    (times(STAMPS.astype(str) + "Z"), "without time zone"),
    (times([f"{stamp}+0{1 + (i > 500)}:00" for i, stamp in enumerate(STAMPS)]), "time zone"),
    (times([*STAMPS[:-1].astype(str), "noon"]), "time"),
    (
        times((STAMPS.astype("datetime64[us]") + np.timedelta64(500 * 365, "D")).astype(str)),
        "the column time has years",
    ),
    (times(NOON), "times that cannot be right"),
    (times(STAMPS[::-1].to_numpy()), "times that cannot be right"),
    (times(STAMPS.sample(frac=1, random_state=0).to_numpy()), "times that cannot be right"),
    (times(NOON + pd.to_timedelta(np.arange(COUNT), unit="D")), "times that cannot be right"),
    (
        times(NOON + pd.to_timedelta(np.arange(COUNT), unit="h")),
        "samples a second, but windows at 30 Hz need at least 15",
    ),
    (times(NOON + pd.to_timedelta(np.arange(COUNT) * 365 / 20, unit="D")), "times that cannot be right"),
    (times(NOON + pd.to_timedelta(np.arange(COUNT) / 5, unit="s")), "anna.csv has 5 samples a second"),
    (times(NOON + pd.to_timedelta(np.arange(COUNT), unit="ns")), "window"),
    (times(NOON + pd.to_timedelta(np.arange(COUNT) / 1e5, unit="s")), "window"),
    (times(STAMPS.dt.floor("min")), "times that cannot be right"),
]


@pytest.fixture(autouse=True)
def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier in place of one of the store."""
    torch.manual_seed(0)
    model = Model(network(CARD), CARD)
    monkeypatch.setattr(registry, "load_model", lambda *_: model)
    monkeypatch.setattr(registry, "name_and_version", lambda *_: ("a", "1"))
    monkeypatch.setenv("SSLWEAR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def commands(*files: object) -> list[tuple[object, ...]]:
    """Import and prediction of files; a recording's name may begin with a dash."""
    return [
        ("data", "import", "--out", "set", "--jobs", 1, "--window", 5, "--", *files),
        ("predict", "--model", "a@champion", "--out", "labels", "--jobs", 1, "--", *files),
    ]


def refused(file: Path) -> list[str]:
    messages = [refusal(*command) for command in commands(file)]
    assert not Path("set").exists()
    assert not list(Path("labels").glob("*.csv"))
    assert all(str(file) in message or "recordings of anna" in message for message in messages)
    return messages


@pytest.mark.parametrize(("content", "said"), CSV, ids=short)
def test_a_bad_csv_recording_is_refused(content: str | bytes, said: str) -> None:
    file = Path("anna.csv")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for message in refused(file):
        assert said in message


PACKED = gzip.compress(GOOD.encode(), mtime=0)
GZIP: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (PACKED[:-9], "anna.csv.gz"),
    (PACKED[:200], "anna.csv.gz"),
    (PACKED[:20], "anna.csv.gz"),
    (PACKED[:5], "anna.csv.gz"),
    (PACKED[:500] + b"x" * 50 + PACKED[550:], "anna.csv.gz"),
    (PACKED[:-8] + bytes(8), "anna.csv.gz"),
    (PACKED + b"more", "anna.csv.gz"),
    (GOOD.encode(), "anna.csv.gz"),
    (bytes(500), "anna.csv.gz"),
    (zipped(a=GOOD.encode()), "anna.csv.gz"),
    (gzip.compress(b"", mtime=0), "has no column time, x, y, z"),
    (gzip.compress(PACKED, mtime=0), "it is not text in UTF-8"),
    (gzip.compress(b"time,x,y,z\n", mtime=0) + gzip.compress(bytes(10_000_000), mtime=0) * 30, "unpacks to more than"),
]


@pytest.mark.parametrize(("content", "said"), GZIP, ids=short)
def test_a_bad_packed_recording_is_refused(content: bytes, said: str) -> None:
    file = Path("anna.csv.gz")
    file.write_bytes(content)
    for message in refused(file):
        assert said in message


DEVICE: list[tuple[str, bytes]] = [
    (ending, content)
    for ending in (".cwa", ".gt3x", ".bin", ".cwa.gz", ".gt3x.gz", ".bin.gz")
    for content in (b"", b"x", bytes(2000), b"garbage " * 500, GOOD.encode(), PACKED[:100], zipped(), zipped(a=b"x"))
]
DEVICE += [
    (".cwa", b"MD" + bytes(1022)),
    (".cwa", b"MD" + bytes(1022) + b"AX" + bytes(510)),
    (".cwa", b"MD" + bytes(100)),
    (".gt3x", zipped(**{"info.txt": b"Serial Number: 1\n"})),
    (".gt3x", zipped(**{"info.txt": b"Sample Rate: 0\nStart Date: 0\n", "log.bin": b""})),
    (".gt3x", zipped(**{"info.txt": b"\xff" * 100, "log.bin": bytes(100)})),
    (".gt3x", zipped(**{"info.txt": b"x", "log.bin": bytes(300_000_000)})),
    (".gt3x", zipped(a=b"x")[:-10]),
    (".bin", b"Device Identity\nDevice Unique Serial Code:1\n"),
    (".bin", b"Device Identity\n" * 60 + b"Recorded Data\n"),
    (".bin", b"MTDT" + bytes(500)),
]


@pytest.mark.parametrize(("ending", "content"), DEVICE, ids=short)
def test_a_bad_device_file_is_refused(ending: str, content: bytes) -> None:
    file = Path(f"anna{ending}")
    file.write_bytes(content)
    import_only = refusal(*commands(file)[0])
    assert str(file) in import_only


PATHS: list[tuple[str, str]] = [
    ("missing.csv", "there is no file missing.csv"),
    ("missing.cwa", "there is no file missing.cwa"),
    ("loop.csv", "there is no file loop.csv"),
    ("broken.csv", "there is no file broken.csv"),
    ("good.csv/anna.csv", "there is no file good.csv/anna.csv"),
    ("x" * 300 + ".csv", "xxx"),
    ("good.txt", "good.txt has an unknown ending"),
    ("good", "good has an unknown ending"),
    (".csv", ".csv has an unknown ending"),
    ("good.csv.zip", "good.csv.zip has an unknown ending"),
    ("good.csv.bz2", "good.csv.bz2 has an unknown ending"),
    ("good.xlsx", "good.xlsx has an unknown ending"),
    ("nothing", "there is no file nothing; give the path of a recording"),
    ("nothing.txt", "there is no file nothing.txt"),
    ("x" * 300, "there is no file xxx"),
    ("~nobody/anna.csv", "there is no file ~nobody/anna.csv"),
    ("http://example.org/a.csv", "there is no file http:/example.org/a.csv"),
]


@pytest.mark.parametrize(("name", "said"), PATHS, ids=short)
def test_a_recording_that_is_no_file_is_refused(name: str, said: str) -> None:
    for folder in ("folder.csv", "folder.cwa"):
        Path(folder).mkdir()
    Path("loop.csv").symlink_to("loop.csv")
    Path("broken.csv").symlink_to("nothing.csv")
    Path("good.csv").write_text(GOOD)
    for other in ("good.txt", "good", ".csv", "good.csv.zip", "good.csv.bz2", "good.xlsx"):
        Path(other).touch()
    for command in commands(name):
        assert said in refusal(*command)


@pytest.mark.parametrize(("name", "said"), [("folder.csv", "there is no file"), (".", ". is a folder")])
def test_a_folder_is_imported_file_by_file_and_predicted_as_a_whole(name: str, said: str) -> None:
    Path("folder.csv").mkdir()
    imports, predicts = commands(name)
    assert said in refusal(*imports)
    assert f"{name} has no recordings" in refusal(*predicts)
    Path("good.csv").write_text(GOOD)
    Path("broken.csv").symlink_to("nothing.csv")
    result = call("predict", ".", *predicts[1:-1])
    assert result.exit_code == 1
    assert "1 of 2 recordings labelled; 1: missing." in result.stdout


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        " a",
        "-a",
        "--out",
        "ü",
        "\U0001f600",
        "a'b",
        'a"b',
        "=1+1",
        "%s",
        "{a}",
        "[red]a",
        "a\tb",
        "\x1b[2Ja",
        "a" * 200,
        "a.b.c",
        "CON",
    ],
)
def test_any_name_of_a_file_is_taken_as_it_is(name: str) -> None:
    Path(f"{name}.csv").write_text(GOOD)
    for command in commands(f"{name}.csv"):
        assert call(*command).exit_code == 0
    assert np.load("set/" + next(Path("set").glob("0*")).name + "/pid.npy")[0] == name.strip()


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("time,x,y,z", '"time", "x","y","z"'),
        text(note="a, b", w=1),
        times(["", *STAMPS[1:].astype(str)]),
        times(STAMPS.astype(str).str.replace(" ", "T")),
        GOOD.replace("\n", "\n\n"),
        GOOD + "\n\n",
    ],
)
def test_unusual_but_clear_recordings_are_read(content: str) -> None:
    Path("anna.csv").write_text(content, newline="")
    for command in commands("anna.csv"):
        assert call(*command).exit_code == 0


def test_a_name_that_is_too_long_for_its_outputs_is_refused() -> None:
    Path(f"{'a' * 251}.csv").write_text(GOOD)
    assert "aaa.csv has too long a name for its output files" in refusal(*commands(f"{'a' * 251}.csv")[1])
