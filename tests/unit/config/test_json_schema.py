"""The JSON schema of the study file is current, explains every key, and accepts what is valid."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from sslwear.config import from_yaml, schema, sections
from sslwear.config.json_schema import json_schema

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"
SECTIONS = [
    kind
    for kind in (vars(schema) | vars(sections)).values()
    if isinstance(kind, type) and issubclass(kind, schema.Section)
]
COMMAND = [sys.executable, "-c", "from sslwear.cli.app import main; main()", "schema"]
MINIMAL = {"study": "a", "data": "smartwatch"}


def valid(content: Any) -> bool:
    return Draft202012Validator(json.loads(json_schema())).is_valid(content)


def test_the_schema_of_the_repository_is_current() -> None:
    """Write it again with ``sslwear schema --out experiments/study.schema.json``."""
    assert json.loads((EXPERIMENTS / "study.schema.json").read_text()) == json.loads(json_schema())


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.__name__)
def test_every_key_has_a_description(kind: type[BaseModel]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_study_files_name_the_schema_and_fit_it(path: Path) -> None:
    text = path.read_text()
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert found is not None
    assert (path.parent / found[1]).is_file()
    assert valid(from_yaml(text))


@pytest.mark.parametrize(
    "content",
    [
        MINIMAL | {"base": "other.yaml"},
        {"base": "other.yaml", "training": {"patience": 3}},
        MINIMAL | {"pretraining": {"data": "datasets/wisdm"}, "plugins": "task.py"},
        MINIMAL | {"pretraining": {"data": ["datasets/wisdm", "smartwatch"]}, "plugins": ["task.py"]},
        MINIMAL | {"search": {"tuning": "any", "learning_rate": {"low": 1e-4, "high": 1}}},
    ],
)
def test_the_schema_accepts_what_a_file_may_say(content: Any) -> None:
    assert valid(content)


@pytest.mark.parametrize(
    "content",
    [
        {"study": "a"},
        MINIMAL | {"trials": 0},
        MINIMAL | {"unknown": 1},
        MINIMAL | {"split": {"test": 1}},
        MINIMAL | {"training": {"learning_rate": 0}},
        MINIMAL | {"search": {"tuning": "all"}},
    ],
)
def test_the_schema_refuses_what_a_file_may_not_say(content: Any) -> None:
    assert not valid(content)


def test_the_command_prints_or_writes_the_schema(tmp_path: Path) -> None:
    printed = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    assert printed.stdout == json_schema()
    subprocess.run([*COMMAND, "--out", tmp_path / "schema.json"], check=True)
    assert (tmp_path / "schema.json").read_text() == json_schema()
    refused = subprocess.run([*COMMAND, "--out", tmp_path / "no" / "x.json"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "x.json cannot be written" in refused.stderr
