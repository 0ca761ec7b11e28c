"""Data set directories of every kind of damage: each is refused in a sentence that names the file, or is read right."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslwear.data.dataset import open_dataset
from tests.bad_inputs.answers import call, refusal, short

ARRAYS = ("X", "Y", "pid", "T")
WINDOWS, SAMPLES = 12, 30
Arrays = dict[str, np.ndarray]


def good() -> Arrays:
    """Twelve windows of a second at 30 Hz: six each of two participants, two activities."""
    motion = np.random.default_rng(0).normal(0, 0.05, (WINDOWS, SAMPLES, 3))
    return {
        "X": (motion + np.array([0, 0, 1])).astype(np.float32),
        "Y": np.array(["walk", "sit"] * 6),
        "pid": np.repeat(["anna", "ben"], 6),
        "T": np.tile(np.arange(6.0), 2),
    }


def write(folder: Path, changed: dict[str, Any], description: Any = None) -> Path:
    folder.mkdir()
    for name, array in (good() | changed).items():
        if isinstance(array, bytes):
            (folder / f"{name}.npy").write_bytes(array)
        else:
            np.save(folder / f"{name}.npy", array)
    content = {"name": "a", "rate_hz": 30, "window_s": 1} if description is None else description
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "dataset.json").write_bytes(text)
    return folder


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(array: Any, index: Any, value: Any) -> np.ndarray:
    changed = np.array(array)
    changed[index] = value
    return changed


class Touch:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


X, Y, PID = good()["X"], good()["Y"], good()["pid"]
PICKLED = np.array([None, *Y[1:]], object)
DAYS = np.arange(12).astype("M8[D]")
HUGE_HEADER = (
    b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000, 30, 3), }"
)
HUGE_HEADER = HUGE_HEADER + b" " * (128 - len(HUGE_HEADER) - 1) + b"\n"

FILES: list[tuple[str, Any, str]] = [
    *[(name, b"", "not a readable .npy file") for name in ARRAYS],
    *[(name, b"\x93NUMPY", "not a readable .npy file") for name in ARRAYS],
    *[(name, saved(good()[name])[:100], "not a readable .npy file") for name in ARRAYS],
    *[(name, saved(good()[name])[:-1], "not a readable .npy file") for name in ARRAYS],
    *[(name, b"PK\3\4" + bytes(100), "not a readable .npy file") for name in ARRAYS],
    *[(name, b"a,b\n1,2\n", "(it has another format); save it again") for name in ARRAYS],
    *[(name, b"\xff" * 200, "(it has another format); save it again") for name in ARRAYS],
    *[(name, pickle.dumps([1, 2]), "(it has another format); save it again") for name in ARRAYS],
    *[(name, HUGE_HEADER, "not a readable .npy file") for name in ARRAYS],
    ("X", np.zeros((0, 30, 3), "f4"), "has shape (0, 30, 3)"),
    ("X", X[:, :, :2], "must be (windows, samples, 3)"),
    ("X", X.transpose(0, 2, 1), "move the axes last"),
    ("X", X.reshape(12, 90), "must be (windows, samples, 3)"),
    ("X", X[0], "must be (windows, samples, 3)"),
    ("X", X[..., None], "must be (windows, samples, 3)"),
    ("X", np.float32(1), "has shape ()"),
    ("X", X[:, :1], "of at least two samples"),
    ("X", X[:, :0], "of at least two samples"),
    ("X", X[:11], "where X.npy has 11 windows"),
    ("X", X.astype(str), "X.npy holds <U32 values; save acceleration in g"),
    ("X", X.astype("S9"), "X.npy holds |S9 values; save acceleration in g"),
    ("X", X.astype(complex), "X.npy holds complex128 values; save acceleration in g"),
    ("X", X > 0, "X.npy holds bool values; save acceleration in g"),
    ("X", (X * 1000).astype("i2"), "look like raw counts"),
    ("X", (X * 1000).astype("u8"), "look like raw counts"),
    ("X", X.astype("M8[s]"), "X.npy holds datetime64[s] values; save acceleration in g"),
    ("X", X.astype(object), "holds Python objects"),
    ("X", np.zeros(12, [("x", "f4"), ("y", "f4")]), "has shape (12,)"),
    ("X", put(X, (5, 3, 1), np.nan), "first in window 5"),
    ("X", put(X, (11, 29, 2), np.inf), "first in window 11"),
    ("X", put(X, 3, np.nan), "first in window 3"),
    ("X", X * np.nan, "first in window 0"),
    ("X", put(X, (2, 0, 0), -9999), "more than 1000, first in window 2"),
    ("X", X * 9.80665, "m/s^2: divide by 9.80665"),
    ("X", X * 1000, "mg: divide by 1000"),
    ("X", X * 0, "resting length"),
    ("X", X * 1e-30, "resting length"),
    ("X", X - np.array([0, 0, 1], "f4"), "without gravity"),
    ("X", put(X, slice(0, 6), X[:6] / 9.80665), "of participant anna"),
    ("X", put(X, (7, slice(0, 20)), 0), "0, 0, 0 in window 7"),
    ("Y", PICKLED, "holds Python objects"),
    ("Y", np.array(["walk", 3] * 6, object), "holds Python objects"),
    ("Y", Y[:11], "has shape (11,)"),
    ("Y", np.concatenate([Y, Y]), "has shape (24,)"),
    ("Y", Y[:, None], "has shape (12, 1)"),
    ("Y", np.array("walk"), "has shape ()"),
    ("Y", np.eye(12)[:, :2], "one entry for each window"),
    ("Y", put(Y, 3, ""), "no label for 1 windows, first '' for window 3"),
    ("Y", put(Y, 3, "\t"), "no label for 1 windows"),
    ("Y", put(Y, [3, 5], "nan"), "no label for 2 windows, first 'nan' for window 3"),
    ("Y", put(Y, 0, "None"), "no label for 1 windows"),
    ("Y", put(Y, 0, "N/A"), "no label for 1 windows"),
    ("Y", put(Y.astype("U9"), 0, " <NA> "), "no label for 1 windows"),
    ("Y", np.full(12, ""), "no label for 12 windows"),
    ("Y", put(Y, 2, "").astype("S4"), "no label for 1 windows"),
    ("Y", np.full(12, b"\xff\xfe"), "not UTF-8 text"),
    ("Y", np.zeros(12), "float64 labels; save them as strings or integers"),
    ("Y", put(np.zeros(12), 3, np.nan), "no label for 1 windows, first NaN"),
    ("Y", np.full(12, np.inf), "float64 labels"),
    ("Y", np.zeros(12, bool), "bool labels"),
    ("Y", np.zeros(12, complex), "complex128 labels"),
    ("Y", DAYS, "datetime64[D] labels"),
    ("Y", np.zeros(12, "m8[s]"), "timedelta64[s] labels"),
    ("Y", np.zeros(12, [("a", "i4")]), "labels; save them as strings or integers"),
    ("Y", np.zeros(12, "V8"), "labels; save them as strings or integers"),
    ("Y", put(np.arange(12), 5, np.iinfo(int).min), "no label for 1 windows"),
    ("pid", np.array([None, *PID[1:]], object), "holds Python objects"),
    ("pid", np.array([1, "b"] * 6, object), "holds Python objects"),
    ("pid", PID[1:], "has shape (11,)"),
    ("pid", PID[:, None], "has shape (12, 1)"),
    ("pid", put(PID, 4, ""), "no participant for 1 windows, first for window 4"),
    ("pid", put(PID, 4, " "), "no participant for 1 windows"),
    ("pid", put(PID, 4, "NaN"), "no participant for 1 windows"),
    ("pid", put(np.ones(12), 4, np.nan), "no participant for 1 windows"),
    ("pid", put(np.ones(12), 4, -np.inf), "no participant for 1 windows"),
    ("pid", np.ones(12, bool), "bool participants"),
    ("pid", np.ones(12, complex), "complex128 participants"),
    ("pid", DAYS, "datetime64[D] participants"),
    ("pid", np.full(12, b"\xff"), "not UTF-8 text"),
    ("T", np.array([None] * 12, object), "holds Python objects"),
    ("T", np.arange(11), "has shape (11,)"),
    ("T", np.zeros((12, 2)), "has shape (12, 2)"),
    ("T", put(DAYS, 3, "NaT"), "no start time for window 3"),
    ("T", put(np.zeros(12), 3, np.nan), "no start time for window 3"),
    ("T", put(np.zeros(12), 3, np.inf), "no start time for window 3"),
    ("T", put(DAYS.astype(str), 3, ""), "no start time for window 3"),
    ("T", put(DAYS.astype(str), 3, "NaT"), "no start time for window 3"),
    ("T", put(DAYS.astype(str), 3, "noon"), "'noon'"),
    ("T", np.array(["12:30"] * 12), "'12:30'"),
    ("T", np.array(["2024-13-01"] * 12), "'2024-13-01'"),
    ("T", np.array(["01/05/2024 12:00"] * 12), "'01/05/2024 12:00'"),
    ("T", np.full(12, b"\xff"), "not UTF-8 text"),
    ("T", np.zeros(12, bool), "bool start times"),
    ("T", np.zeros(12, complex), "complex128 start times"),
    ("worn", np.ones(12), "float64 values; save it as booleans"),
    ("worn", np.array(["True"] * 12), "save it as booleans"),
    ("worn", np.ones(11, bool), "has shape (11,)"),
    ("worn", np.ones((12, 2), bool), "has shape (12, 2)"),
    ("worn", np.array([True, None] * 6, object), "holds Python objects"),
    ("worn", b"", "not a readable .npy file"),
]

DESCRIPTIONS: list[tuple[Any, str]] = [
    (b"", "Invalid JSON"),
    (b"{", "Invalid JSON"),
    (b"\xff\xfe{\x00}\x00", "it is not text"),
    (b"\x00" * 50, "Invalid JSON"),
    (b"{'name': 'a'}", "Invalid JSON"),
    (b'{"name": "a", "rate_hz": NaN}', "rate_hz"),
    (b"[" * 5000, "Invalid JSON"),
    (b'{"name": "a", "rate_hz": ' + b"9" * 5000 + b"}", "number out of range"),
    ([], "object"),
    ("a", "object"),
    (3, "object"),
    (None, ""),
    ({}, "name: Field required"),
    ({"rate_hz": 30}, "name: Field required"),
    ({"name": None}, "name: "),
    ({"name": 3}, "name: "),
    ({"name": ["a"]}, "name: "),
    *[({"name": "a", "rate_hz": rate}, "rate_hz: ") for rate in (0, -30, "fast", "30 Hz", [30], True, {})],
    *[({"name": "a", "window_s": length}, "window_s: ") for length in (0, -1, "1 s", [1], True)],
    *[({"name": "a", "step_s": step}, "step_s: ") for step in (0, -1, "x")],
    ({"name": "a", "rate_hz": 30, "window_s": 10}, "have 300 samples, but those of the arrays have 30"),
    ({"name": "a", "rate_hz": 100, "window_s": 1}, "have 100 samples"),
    ({"name": "a", "rate_hz": 1e300, "window_s": 1}, "correct window_s or rate_hz"),
    ({"name": "a", "rate_hz": 1e-300, "window_s": 1}, "correct window_s or rate_hz"),
    ({"name": "a", "rate_hz": 1e12}, "1e+12 Hz"),
    ({"name": "a", "rate_hz": 1e-9}, "1e-09 Hz"),
    ({"name": "a", "window_s": 1e12}, "3e-11 Hz"),
    ({"name": "a", "window_s": 1e-9}, "3e+10 Hz"),
    ({"name": "a", "class_names": "walk"}, "class_names: "),
    ({"name": "a", "class_names": [1, 2]}, "class_names.0: "),
    ({"name": "a", "class_names": {"walk": 1}}, "class_names: "),
    ({"name": "a", "class_names": []}, "the label 'sit'"),
    ({"name": "a", "class_names": ["walk"]}, "the label 'sit'"),
    ({"name": "a", "class_names": ["walk", "walk"]}, "the class 'walk' is listed twice"),
    ({"name": "a", "class_names": ["walk", None]}, "class_names.1: "),
    ({"name": "a", "fingerprint": "0" * 64}, "its fingerprint is not that of the arrays"),
    ({"name": "a", "fingerprint": 3}, "fingerprint: "),
    ({"name": "a", "source": 3}, "source: "),
    ({"name": "a", "plan": "x"}, "plan: "),
    ({"name": "a", "participants": "x"}, "participants: "),
]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(tmp_path / "home"))


def test_the_good_data_set_is_described(tmp_path: Path) -> None:
    assert call("data", "describe", write(tmp_path / "data", {})).exit_code == 0


@pytest.mark.parametrize(("name", "content", "said"), FILES, ids=short)
def test_a_bad_array_is_refused(tmp_path: Path, name: str, content: Any, said: str) -> None:
    folder = write(tmp_path / "data", {name: content})
    message = refusal("data", "describe", folder)
    assert message.startswith(str(folder))
    assert said in message


@pytest.mark.parametrize(("content", "said"), DESCRIPTIONS, ids=short)
def test_a_bad_description_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    folder = write(tmp_path / "data", {}, b"null" if content is None else content)
    message = refusal("data", "describe", folder)
    assert message.startswith(str(folder))
    assert said in message


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("kind", ["directory", "link to itself", "broken link"])
def test_what_is_no_file_is_missing(tmp_path: Path, name: str, kind: str) -> None:
    folder = write(tmp_path / "data", {})
    place = folder / f"{name}.npy"
    place.unlink()
    if kind == "directory":
        place.mkdir()
    else:
        place.symlink_to(place.name if kind == "link to itself" else "nothing")
    assert refusal("data", "describe", folder).startswith(f"{place} is missing")


@pytest.mark.parametrize("name", [*ARRAYS, "worn"])
def test_nothing_in_a_pickled_array_is_run(tmp_path: Path, name: str) -> None:
    content = np.array([Touch(tmp_path / "made")] * WINDOWS, object)
    assert "holds Python objects" in refusal("data", "describe", write(tmp_path / "data", {name: content}))
    assert not (tmp_path / "made").exists()


GOOD: list[tuple[str, Any]] = [
    *[("X", np.asfortranarray(X)), ("X", X.astype(">f4")), ("X", X.astype("<f8")), ("X", X.astype("f2"))],
    *[("Y", Y.astype("S")), ("Y", Y.astype(">U4")), ("Y", np.arange(12, dtype=">i8") % 2)],
    *[("Y", put(Y.astype("U2000"), slice(None, None, 2), "x" * 2000)), ("Y", np.array(["Öl", "\U0001f600"] * 6))],
    *[("pid", np.repeat([3, -1], 6)), ("pid", np.repeat([1.5, 2.5], 6).astype(">f8")), ("pid", PID.astype("S"))],
    *[("T", good()["T"][::-1]), ("T", DAYS.astype(str)), ("T", np.zeros(12)), ("T", np.arange(12, dtype=">u2"))],
    ("worn", np.arange(12) > 3),
]


@pytest.mark.parametrize(
    ("name", "array"), GOOD, ids=lambda value: value if isinstance(value, str) else str(value.dtype)
)
def test_unusual_arrays_are_read_with_their_values(tmp_path: Path, name: str, array: np.ndarray) -> None:
    folder = write(tmp_path / "data", {name: array})
    assert call("data", "describe", folder).exit_code == 0
    found = open_dataset(folder)
    np.testing.assert_allclose(found.gather(np.arange(WINDOWS), SAMPLES).numpy(), X.transpose(0, 2, 1), atol=2e-3)
    given = array if name == "Y" else Y
    wanted = given.astype(str) if given.dtype.kind != "S" else np.char.decode(given)
    assert [found.class_names[label] for label in found.labels] == wanted.tolist()


@pytest.mark.parametrize(
    "text", ["\x1b[2Jwalk", "walk\r\x1b]0;a\x07", "a\nb", "\u202ewalk", "[red]walk[/red]", ":smile:", "="]
)
@pytest.mark.parametrize("name", ["Y", "pid"])
def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, name: str, text: str) -> None:
    folder = write(tmp_path / "data", {name: put(good()[name].astype("U20"), slice(0, 6), text)})
    output = call("data", "describe", folder).stdout
    assert not set(output) & {"\x1b", "\r", "\x07", "\u202e"}
    assert text.encode("unicode_escape").decode() in output or text.isprintable() or text == "a\nb"


REPORTS: list[bytes] = [
    *[b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"{}", b'{"windows": 3}', b"[" * 5000],
    b'{"windows": "3", "nonwear": 0, "participant": "a", "fingerprint": "f"}',
    b'{"windows": 3, "nonwear": null, "participant": "a", "fingerprint": "f"}',
    b'{"windows": 3, "nonwear": -5, "participant": "a", "fingerprint": "f"}',
    b'{"windows": 1e400, "nonwear": 0, "participant": "a", "fingerprint": "f"}',
    b'{"windows": 3, "nonwear": 0, "participant": ["a"], "fingerprint": "f"}',
    b'{"windows": 3, "nonwear": 0, "participant": null, "fingerprint": "f"}',
    b'{"windows": 3, "nonwear": 0, "participant": "a", "fingerprint": 3}',
    b'{"windows": ' + b"9" * 5000 + b', "nonwear": 0, "participant": "a", "fingerprint": "f"}',
]


@pytest.mark.parametrize("content", REPORTS, ids=short)
def test_a_bad_report_of_a_shard_is_refused(tmp_path: Path, content: bytes) -> None:
    shard = tmp_path / "shards" / "0001-a"
    shard.mkdir(parents=True)
    (shard / "report.json").write_bytes(content)
    (shard.parent / "dataset.json").write_text('{"name": "a", "rate_hz": 30, "window_s": 1}')
    for name in ("X", "T"):
        np.save(shard / f"{name}.npy", good()[name])
    np.save(shard / "worn.npy", np.ones(WINDOWS, bool))
    assert refusal("data", "describe", shard.parent).startswith(f"{shard / 'report.json'} is not the report of a shard")
    (shard / "report.json").unlink()
    (shard / "report.json").mkdir()
    assert refusal("data", "describe", shard.parent).startswith(f"{shard / 'report.json'} is not the report of a shard")
