"""Arguments, options and environment variables that cannot be used: each is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bad_inputs.answers import refusal, short
from tests.bad_inputs.test_data_sets import write

STUDY = "study: a\ndata: data\nencoder: harnet5\ntraining: {max_epochs: 1}\n"
NAMES = [
    "",
    " ",
    "nothing",
    "a/b",
    "../a",
    "..",
    "x" * 300,
    "\x1b[2J",
    "ü",
    "\U0001f600",
    "a\nb",
    "' OR 1=1 --",
    "%",
    "*",
    "--",
]

NAMED: list[tuple[list[str], str]] = [
    *[(["study", "show", "--", name], "study") for name in NAMES],
    *[(["study", "compare", "--", name, "b"], "study") for name in NAMES[:6]],
    *[(["study", "report", "--out", "out", "--", name], "there is no study or evaluation") for name in NAMES[:6]],
    *[(["promote", "--", name], "study") for name in NAMES],
    *[(["rerun", "--", name], "run") for name in NAMES],
    *[(["rerun", "--trial", "0", "--", name], "study") for name in NAMES[:6]],
    *[(["models", "rollback", "--", name], "model") for name in NAMES],
    *[(["pretext", "show", "--", name], "pretext") for name in NAMES],
    *[(["data", "fetch", "--", name], "source") for name in NAMES],
    *[(["data", "prepare", "--out", "out", "--", name], "source") for name in NAMES],
    *[(["data", "describe", "--", name], "data") for name in NAMES[:5]],
]
REFERENCES = [
    *[
        "",
        "a",
        "a@",
        "@champion",
        "a@champion",
        "a/1",
        "a/",
        "/1",
        "a/b/c",
        "a/-1",
        "a/1.5",
        "a/latest",
        "a@b@c",
        "a b@c",
    ],
    *[
        "models:",
        "models:/",
        "models:/a",
        "models:/a@champion",
        "models:/a/1",
        "models:/a/x",
        "models:///",
        "models:/a/1/2",
    ],
    *["runs:", "runs:/", "runs:/nothing", "runs:/../../etc/passwd", "runs:/a/model", "runs:/" + "0" * 32, "Runs:/a"],
    *["\x1b[2J@champion", "x" * 300 + "@a", "a@" + "x" * 300, "ü@ü", "a@\U0001f600", "file:///etc/passwd", "s3://a/b"],
]
OPTIONS: list[tuple[list[str], str]] = [
    (["nothing"], "No such command 'nothing'"),
    (["study", "nothing"], "No such command 'nothing'"),
    (["study", "run"], "Missing argument 'FILE'"),
    (["study", "run", "missing.yaml"], "there is no study file missing.yaml"),
    (["study", "run", ""], ". cannot be read (Is a directory)"),
    (["study", "run", "data"], "read"),
    (["study", "run", "study.yaml", "--nothing"], "No such option"),
    (["study", "run", "study.yaml", "--trials"], "requires an argument"),
    (["study", "run", "study.yaml", "--trials", "many"], "valid integer"),
    (["study", "run", "study.yaml", "--trials", "1.5"], "valid integer"),
    (["study", "run", "study.yaml", "--trials", "0"], "trials: input should be greater than or equal to 1"),
    (["study", "run", "study.yaml", "--trials", "-3"], "trials: input should be greater than or equal to 1"),
    (["study", "run", "study.yaml", "--trials", "9" * 30], "trials: input should be less than"),
    (["study", "run", "study.yaml", "--trials", "nan"], "valid integer"),
    (["study", "run", "study.yaml", "--set", ""], "write key=value"),
    (["study", "run", "study.yaml", "--set", "encoder=nothing"], "encoder"),
    (["study", "run", "study.yaml", "--set", "encoder=''"], "encoder"),
    (["study", "run", "study.yaml", "--set", "training.tuning=nothing"], "training.tuning"),
    (["study", "run", "study.yaml", "--set", "training.tuning=layer9"], "training.tuning"),
    (["study", "run", "study.yaml", "--set", "search.tuning=[head, nothing]"], "search.tuning"),
    (["study", "run", "study.yaml", "--set", "training.pretext=nothing"], "training.pretext"),
    (["study", "run", "study.yaml", "--set", "training.augment=nothing"], "training.augment"),
    (
        ["study", "run", "study.yaml", "--set", "training.augment=[scale, rotate(x)]"],
        "training.augment: 'rotate(x)' has",
    ),
    (
        ["study", "run", "study.yaml", "--set", "search.augment=[scale, [jitter(9)]]"],
        "search.augment: in jitter(SIGMA_G)",
    ),
    (
        ["study", "run", "study.yaml", "--set", "plugins=[missing.py]"],
        "missing.py cannot be read (No such file or directory)",
    ),
    (["study", "run", "study.yaml", "--set", "plugins=[data]"], "data cannot be read (Is a directory)"),
    (["study", "run", "study.yaml", "--set", "plugins=[study.yaml]"], "study.yaml"),
    (["study", "run", "study.yaml", "--set", "data=nothing"], "'nothing' is neither a directory nor a source"),
    (["study", "run", "study.yaml", "--set", "data=''"], "data"),
    (["study", "run", "study.yaml", "--set", "data=capture24"], "data: capture24 must be prepared first"),
    (["study", "run", "study.yaml", "--set", "data=~nobodyknows"], "neither a directory nor a source"),
    (["study", "run", "study.yaml", "--set", "data=" + "x" * 300], "neither a directory nor a source"),
    (["study", "run", "study.yaml", "--set", "study=" + "x" * 101], "at most 100 characters"),
    (["study", "run", "study.yaml", "--set", "study=a/b"], "study: input should be a name"),
    (["study", "run", "study.yaml", "--set", "study=.."], "study: input should be a name"),
    (["study", "run", "study.yaml", "--set", "study=\U0001f600"], "study: input should be a name"),
    (["study", "run", "study.yaml", "--set", 'study="a\\tb"'], "study: input should be a name"),
    (["study", "run", "study.yaml", "--set", "device=cuda:99"], "cuda"),
    (["study", "run", "study.yaml", "--set", "split.test=0.999"], "split"),
    (["train", "study.yaml", "--set", "data=single"], "class"),
    (["train", "study.yaml", "--set", "data=alone"], "participant"),
    (["train", "study.yaml", "--trials", "3"], "No such option"),
    (["pretrain", "study.yaml"], "pretext"),
    (["evaluate", "study.yaml"], "evaluation"),
    (["study", "report", "a"], "Missing option '--out'"),
    (["study", "report", "a", "--out", ""], ""),
    (["rerun", "a", "--trial", "-1"], "should be"),
    (["rerun", "a", "--trial", "x"], "valid integer"),
    (["promote", "a", "--rule", "nothing"], "'nothing' is not one of 'mean', 'interval'"),
    (["promote", "a", "--margin", "much"], "valid number"),
    (["promote", "a", "--force", ""], "--force needs a reason"),
    (["promote", "a", "--force", "  "], "--force needs a reason"),
    (["data", "prepare", "smartwatch", "--out", "study.yaml"], "study.yaml"),
    (["data", "prepare", "smartwatch", "--out", "study.yaml/a"], "study.yaml"),
    (["data", "prepare", "smartwatch", "--out", "data"], "data exists"),
    (["data", "prepare", "smartwatch", "--out", "x" * 300], "cannot write xxx"),
    (["data", "prepare", "smartwatch", "--out", "new", "--jobs", "0"], "should be"),
    (["data", "prepare", "smartwatch", "--out", "new", "--jobs", "x"], "valid integer"),
    *[
        (["data", "prepare", "smartwatch", "--out", "new", option, value], said)
        for option in ("--window", "--step")
        for value, said in (
            *[("0", "out of range"), ("-1", "out of range"), ("nan", "out of range"), ("inf", "out of range")],
            *[("1e9", "out of range"), ("1e-9", "too short"), ("0.001", "too short"), ("ten", "valid number")],
        )
    ],
    (["data", "prepare", "smartwatch", "--out", "new", "--label-scheme", "nothing"], "label"),
    (["data", "prepare", "capture24", "--out", "new"], "--raw"),
    (["data", "prepare", "capture24", "--out", "new", "--raw", "missing.zip"], "missing.zip"),
    (["data", "prepare", "capture24", "--out", "new", "--raw", "study.yaml"], "study.yaml"),
    (["data", "prepare", "capture24", "--out", "new", "--raw", "empty"], "empty"),
    (["data", "prepare", "wisdm", "--out", "new", "--raw", "study.yaml"], "study.yaml"),
    (["data", "prepare", "adl", "--out", "new", "--raw", "empty"], "empty"),
    (["data", "prepare", "pamap2", "--out", "new", "--raw", "empty"], "empty"),
    (["data", "prepare", "realworld", "--out", "new", "--raw", "empty"], "empty"),
    (["data", "prepare", "opportunity", "--out", "new", "--raw", "empty"], "empty"),
    (["data", "fetch", "smartwatch"], "smartwatch"),
    (["data", "import", "--out", "new"], "Missing argument"),
    (["pretext", "show", "reverse", "--data", "nothing"], "nothing"),
    (["pretext", "show", "reverse", "--seed", "-1"], "should be"),
    (
        ["pretext", "show", "reverse", "--data", "data", "--out", "study.yaml/a.png"],
        "--out study.yaml/a.png: cannot be",
    ),
    (["pretext", "show", "reverse", "--data", "data", "--out", "a.nothing"], "--out a.nothing: cannot be"),
    (["pretext", "show", "reverse", "--data", "data", "--out", "empty"], "--out empty: has no ending"),
    (["pretext", "show", "reverse", "--plugin", "missing.py"], "missing.py cannot be read (No such file"),
    (["pretext", "list", "--plugin", "empty"], "empty cannot be read (Is a directory)"),
    (["schema", "--out", "study.yaml/a"], "--out study.yaml/a cannot be written"),
    (["schema", "--out", "empty"], "--out empty cannot be written"),
    (["schema", "--out", "x" * 300], "cannot be written"),
    (["export", "a@champion"], "Missing option '--onnx'"),
    (["ui", "--port", "0"], "should be"),
    (["ui", "--port", "65536"], "should be"),
    (["ui", "--port", "http"], "valid integer"),
    (["ui", "--host", ""], "--host is empty"),
    (["ui", "--host", "0.0.0.0"], "Add --expose"),
    (["ui", "--host", "nothing.invalid", "--expose"], "--host nothing.invalid: there is no such address"),
    (["ui", "--host", "a b", "--expose"], "--host a b"),
    (["ui", "--host", "x" * 300, "--expose"], "--host xxx"),
    (["ui", "--host", "1.2.3.4", "--expose"], "1.2.3.4:5000 is not available"),
    (["dashboard", "--port", "-1"], "should be"),
    (["predict", "a.csv", "--out", "new"], "Missing option '--model'"),
    (["predict", "--model", "a@b", "--out", "new"], "Missing argument"),
    *[
        (["predict", "a.csv", "--model", "a@champion", "--out", "new", *options], said)
        for options, said in (
            (["--format", "xlsx"], "there is no format 'xlsx'. Write csv or parquet"),
            (["--format", ""], "there is no format ''"),
            (["--bout", "1"], "--bout needs --smooth"),
            (["--smooth", "--bout", "x"], "valid number"),
            (["--device", "gpu"], "--device gpu is unknown"),
            (["--device", ""], "--device"),
            (["--device", "cuda:99"], "cuda:99"),
            (["--precision", "float16"], "--precision float16 is unknown"),
            (["--jobs", "0"], "should be"),
            (["--jobs", "many"], "valid integer"),
        )
    ],
]
ENVIRONMENT: list[tuple[str, str, str]] = [
    ("SSLWEAR_HOME", "study.yaml", "cannot create the folder"),
    ("SSLWEAR_HOME", "study.yaml/a", "cannot create the folder"),
    ("SSLWEAR_HOME", "x" * 300, "cannot create the folder"),
    ("SSLWEAR_HOME", "loop", "cannot create the folder"),
    *[
        ("MLFLOW_TRACKING_URI", address, "MLFLOW_TRACKING_URI")
        for address in (
            *[
                "mlruns",
                "/tmp/mlruns",
                "file:///tmp/mlruns",
                "http://",
                "http://:80",
                "http://host:port",
                "http://a:99999",
            ],
            *[
                "https://",
                "sqlite://",
                "sqlite:///",
                "postgresql://",
                "http://[::1",
                "http://a:0",
                "sqlite",
                "://",
                "a://b",
            ],
            *[
                "postgresql://a:p@ss@127.0.0.1:1/a",
                "mysql://a@127.0.0.1:1/a",
                "databricks",
                "ftp://a/b",
                " ",
                "http:/a",
            ],
        )
    ],
    *[
        ("SSLWEAR_STORAGE", address, "SSLWEAR_STORAGE")
        for address in (
            *[
                "optuna.db",
                "/tmp/a.db",
                "sqlite",
                "sqlite://",
                "sqlite:///",
                "http://a",
                "redis://a",
                "postgresql://",
                "://",
            ],
            *[
                "postgresql://a:p@ss@127.0.0.1:1/a",
                "journal.log",
                "oracle://a/b",
                "sqlite:///study.yaml/b.db",
                " ",
                "a://b",
            ],
        )
    ],
    ("SSLWEAR_STORAGE", "postgresql://a:secret@127.0.0.1:1/a", "127.0.0.1"),
    ("SSLWEAR_STORAGE", "mysql+nothing://a:secret@127.0.0.1:1/a", "mysql+nothing"),
    ("MLFLOW_TRACKING_URI", "postgresql://a:secret@127.0.0.1:1/a", "127.0.0.1"),
]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a study file, three small data sets and an empty folder."""
    monkeypatch.setenv("SSLWEAR_HOME", str(empty_home))
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    Path("empty").mkdir()
    Path("loop").symlink_to("loop")
    people = {"pid": np.repeat(["anna", "ben", "cleo", "dora"], 3)}
    write(Path("data"), people)
    write(Path("single"), {**people, "Y": np.full(12, "walk")})
    write(Path("alone"), {"pid": np.full(12, "anna")})


@pytest.mark.parametrize(("arguments", "said"), [*NAMED, *OPTIONS], ids=short)
def test_bad_arguments_are_refused(arguments: list[str], said: str) -> None:
    message = refusal(*arguments)
    assert said in message
    assert not Path("new").exists()


@pytest.mark.parametrize("reference", REFERENCES, ids=short)
@pytest.mark.parametrize(
    "command",
    [
        ["predict", "a.csv", "--out", "new", "--model", "REFERENCE"],
        ["models", "show", "--", "REFERENCE"],
        ["export", "--onnx", "a.onnx", "--", "REFERENCE"],
        ["serve", "--", "REFERENCE"],
    ],
    ids=lambda command: command[0],
)
def test_a_bad_reference_of_a_model_is_refused(command: list[str], reference: str) -> None:
    message = refusal(*(reference if word == "REFERENCE" else word for word in command))
    assert not Path("a.onnx").exists()
    assert "model" in message or "run" in message


@pytest.mark.parametrize(("variable", "value", "said"), ENVIRONMENT, ids=short)
@pytest.mark.parametrize("command", [["study", "list"], ["study", "run", "study.yaml"]], ids=" ".join)
def test_a_bad_store_is_refused(
    monkeypatch: pytest.MonkeyPatch, command: list[str], variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    message = refusal(*command)
    assert said in message or "cannot create the folder of the database" in message
    assert "p@ss" not in message
    assert "secret" not in message
