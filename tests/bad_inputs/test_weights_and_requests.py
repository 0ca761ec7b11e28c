"""Checkpoints and requests to a served model that cannot be used: each is refused in one sentence."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sslwear.deployment.serving import scoring
from sslwear.encoders.base import get
from sslwear.encoders.weights import PREFIX
from tests.bad_inputs.answers import MOST_CHARACTERS, refusal, short
from tests.bad_inputs.test_data_sets import Touch, write
from tests.unit.deployment.asgi import ask
from tests.unit.deployment.test_scoring import STILL, Counting

STATE = {f"feature_extractor.{key}": value for key, value in get("harnet5")().feature_extractor.state_dict().items()}
FIRST = next(iter(STATE))
SAFE = b"\x08\x00\x00\x00\x00\x00\x00\x00"

FILES: list[tuple[str, Any, str]] = [
    *[
        (f"a{ending}", content, "is not a checkpoint that can be read safely")
        for ending in (".safetensors", ".pt", ".mdl", "")
        for content in (b"", b"x", bytes(1000), b"garbage " * 500, b"PK\3\4" + bytes(100), SAFE + b"{}      "[:4])
    ],
    ("a.safetensors", b"\xff" * 100, "is not a checkpoint"),
    ("a.safetensors", SAFE + b"{}      ", "does not fit harnet5, 0 of"),
    ("a.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "is not a checkpoint"),
    ("a.safetensors", SAFE + b'{"a":1} ', "is not a checkpoint"),
    ("a.safetensors", "truncated", "is not a checkpoint"),
    ("a.pt", "truncated", "is not a checkpoint"),
    ("a.pt", "renamed", "is not a checkpoint"),
    ("a.pt", {}, "does not fit harnet5, 0 of"),
    ("a.pt", [], "something other than a state dict"),
    ("a.pt", 3, "something other than a state dict"),
    ("a.pt", None, "something other than a state dict"),
    ("a.pt", "text", "something other than a state dict"),
    ("a.pt", torch.zeros(3), "something other than a state dict"),
    ("a.pt", {1: torch.zeros(3)}, "something other than a state dict"),
    ("a.pt", {"a": 3}, "something other than a state dict"),
    ("a.pt", {"state_dict": STATE}, "something other than a state dict"),
    ("a.pt", {"a": torch.zeros(3)}, "does not fit harnet5, 0 of"),
    ("a.pt", {f"encoder.{key}": value for key, value in STATE.items()}, "does not fit harnet5, 0 of"),
    ("a.pt", {f"{PREFIX}{PREFIX}{key}": value for key, value in STATE.items()}, "does not fit harnet5, 0 of"),
    ("a.pt", {key: value for key, value in STATE.items() if key != FIRST}, "is missing"),
    ("a.pt", {**STATE, "feature_extractor.more": torch.zeros(1)}, "more is not in harnet5"),
    ("a.pt", {**STATE, FIRST: torch.zeros(3)}, "has shape [3] where harnet5 has"),
    ("a.pt", {**STATE, FIRST: STATE[FIRST] * torch.nan}, "has NaN or infinite values"),
    ("a.pt", {**STATE, FIRST: STATE[FIRST] + torch.inf}, "has NaN or infinite values"),
    ("a.pt", {**STATE, FIRST: STATE[FIRST].to(torch.int64)}, "is of torch.int64"),
    ("a.pt", {**STATE, FIRST: STATE[FIRST].to_sparse()}, "is of torch.float32 (torch.sparse"),
    ("a.pt", {**STATE, FIRST: STATE[FIRST].to(torch.complex64)}, "is of torch.complex64"),
    ("a.safetensors", {f"feature_extractor.{i}": torch.zeros(2) for i in range(5)}, "does not fit harnet5, 0 of"),
    ("a.pt", get("harnet10")(), "is not a checkpoint that can be read safely"),
]
ORIGINS: list[tuple[str, str]] = [
    ("missing.pt", "there is no file missing.pt"),
    ("data", "there is no file data"),
    ("''", "weights"),
    ("' '", "weights"),
    ("loop.pt", "there is no file loop.pt"),
    ("~nobodyknows/a.pt", "there is no file ~nobodyknows/a.pt"),
    ("x" * 300, "there is no file xxx"),
    ("Hub", "there is no file Hub"),
    ("None", "there is no file None"),
    ("hub", "licence was not accepted"),
    ("https://example.org/a.pt", "there is no file https:/example.org/a.pt"),
    *[
        (f"'{text}'", "weights")
        for text in ("runs:", "runs:/", "runs:/nothing", "runs:/../a", "runs:/a/b", "runs:/%20")
    ],
    *[
        (f"'{text}'", "model")
        for text in ("models:/", "models:/a", "models:/a@b", "models:/a/1", "models:/a/b/c", "models:/@")
    ],
]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(empty_home))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    write(Path("data"), {"pid": np.repeat(["anna", "ben", "cleo", "dora"], 3)})
    Path("study.yaml").write_text("study: a\ndata: data\nencoder: harnet5\ntraining: {max_epochs: 1}\n")


def save(path: Path, content: Any) -> None:
    if content == "truncated":
        torch.save(STATE, path) if path.suffix == ".pt" else save_file(STATE, path)
        os.truncate(path, path.stat().st_size // 2)
    elif content == "renamed":
        save_file(STATE, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)


@pytest.mark.parametrize(
    ("name", "content", "said"), FILES, ids=lambda value: short(value) if isinstance(value, str | bytes) else ""
)
def test_a_bad_checkpoint_is_refused(name: str, content: Any, said: str) -> None:
    save(Path(name), content)
    message = refusal("train", "study.yaml", "--set", f"weights={name}")
    assert message.startswith(f"weights: {name} ")
    assert said in message


@pytest.mark.parametrize(("origin", "said"), ORIGINS, ids=short)
def test_weights_that_are_no_file_are_refused(origin: str, said: str) -> None:
    Path("loop.pt").symlink_to("loop.pt")
    assert said in refusal("train", "study.yaml", "--set", f"weights={origin}")


@pytest.mark.parametrize("ending", [".pt", ".mdl", ".pkl", ".safetensors", ""])
@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch"])
def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, ending: str, kind: str) -> None:
    path, harmful = Path(f"a{ending}"), {"a": Touch(tmp_path / "made")}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(harmful))
    else:
        torch.save(harmful, path, _use_new_zipfile_serialization=kind == "torch")
    assert "is not a checkpoint that can be read safely" in refusal("train", "study.yaml", "--set", f"weights={path}")
    assert not (tmp_path / "made").exists()


def test_a_checkpoint_that_unpacks_to_much_is_refused() -> None:
    torch.save(STATE, "good.pt")
    with zipfile.ZipFile("good.pt") as good, zipfile.ZipFile("bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for info in good.infolist():
            bomb.writestr(info.filename, bytes(10_000_000) if "/data/" in info.filename else good.read(info))
            if bomb.fp.tell() > 1_000_000:  # type: ignore[union-attr]
                break
    assert "is not a checkpoint that can be read safely" in refusal("train", "study.yaml", "--set", "weights=bomb.pt")


BODIES: list[tuple[bytes | Any, str]] = [
    *[(body, "not JSON") for body in (b"", b"{", b"{'inputs': 1}", b"\xff", b'{"inputs": [1,]}', b"inputs=1", b"\0")],
    *[(body, "not a JSON object") for body in (b"[]", b"3", b"null", b'"a"', b"true", b"NaN")],
    *[(body, "has no 'inputs'") for body in ({}, {"Inputs": []}, {"input": []}, {"dataframe_split": {}}, {"a": 1})],
    *[({"inputs": value}, "is empty") for value in (None, [])],
    *[
        ({"inputs": value}, "")
        for value in ("a", "", 3, True, {}, {"a": [1]}, [[]], [[[]]], ["a"], [None], [{}], [3], [STILL[0]])
    ],
    ({"inputs": STILL}, ""),
    ({"inputs": [STILL[:-1]]}, ""),
    ({"inputs": [STILL, STILL[:-1]]}, ""),
    ({"inputs": [[row[:2] for row in STILL]]}, ""),
    ({"inputs": [[[*row, 0.0] for row in STILL]]}, ""),
    ({"inputs": [[["a", "b", "c"]] * 150]}, ""),
    ({"inputs": [[[None, 0, 1]] * 150]}, ""),
    ({"inputs": [[[True, False, True]] * 150]}, ""),
    ({"inputs": [[[1e400, 0, 1]] * 150]}, ""),
    ({"inputs": [[[float("nan"), 0, 1]] * 150]}, ""),
    ({"inputs": [[[1e30, 0, 1]] * 150]}, ""),
    ({"inputs": [[[0, 0, 9.80665]] * 150]}, ""),
    ({"inputs": [[[0, 0, 1000]] * 150]}, ""),
    ({"inputs": [[[0, 0, 0]] * 150]}, ""),
    ({"inputs": [[[10**400, 0, 1]] * 150]}, ""),
    ({"inputs": [[[{"a": 1}, 0, 1]] * 150]}, ""),
    ({"inputs": [[[[0], [0], [1]]] * 150]}, ""),
    (b'{"inputs": ' + b"[" * 500 + b"]" * 500 + b"}", ""),
    (b'{"inputs": ' + b'"a' * 1 + b"x" * 100_000 + b'"}', ""),
]


APP = scoring.make(Counting())


def answer(body: Any) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, text = ask(APP, "POST", "/invocations", content, {"content-type": "application/json"})
    return status, json.loads(text)


@pytest.mark.parametrize(("body", "said"), BODIES, ids=short)
def test_a_bad_request_gets_a_reason(body: Any, said: str) -> None:
    status, found = answer(body)
    assert status == 400
    assert said in found["message"]
    assert 10 < len(found["message"]) < MOST_CHARACTERS
    assert "\n" not in found["message"]
    assert "Traceback" not in found["message"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(STILL) | st.just([STILL]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["inputs", "instances", "a"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=VALUES | st.fixed_dictionaries({"inputs": VALUES}))
def test_any_json_is_answered(body: Any) -> None:
    status, found = answer(body)
    assert status in (200, 400)
    assert set(found) == ({"predictions"} if status == 200 else {"error_code", "message"})
