"""What the README tells people to type works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import SUPERVISED, Settings, load, parse
from sslwear.data.dataset import Dataset
from sslwear.data.sources.base import find
from sslwear.pretext.base import find as find_pretext
from sslwear.studies.optimise import run_study
from sslwear.tracking import Store
from tests.integration.serving import running_server

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[list[str]]:
    """The calls of sslwear that the README gives, without the name of the program."""
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [line[1:] for line in lines if line and line[0].endswith("sslwear")]


def test_every_pretext_task_is_listed_and_no_other() -> None:
    table = TEXT.split("| value | what is asked of a window |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {"none", SUPERVISED, *find_pretext()}


@pytest.mark.parametrize("program", ["sh", "python"])
def test_the_example_on_ones_own_arrays_runs(
    program: str, small_folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(store.home))
    monkeypatch.chdir(tmp_path)
    Path("my-data").mkdir()
    for array in ("X", "Y", "pid", "T"):
        np.save(f"my-data/{array}.npy", np.load(small_folder / f"{array}.npy")[::3])
    if program == "python":
        (code,) = blocks("python")
        assert len(code.splitlines()) <= 20
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^best: .* its weights: runs:/[0-9a-f]{32}$", done.stdout, re.MULTILINE)
        assert len(re.findall(r"^\d (finished|pruned) ", done.stdout, re.MULTILINE)) == 4
        return
    (Path("my-study.yaml")).write_text(blocks("yaml")[0])
    for command in commands():
        if "my-study" in " ".join(command) and "--trials" not in command:
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, result.output
    assert "Best: trial " in CliRunner().invoke(app, ["study", "show", "my-study"]).stdout


def test_the_way_from_a_study_to_a_served_model_runs(
    make: Callable[..., Settings], small: Dataset, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(store.home))
    monkeypatch.chdir(tmp_path)
    training = {"tuning": "head", "max_epochs": 1}
    run_study(make(study="quickstart", encoder="harnet10", training=training, search={}, trials=1), store)
    called = [command for command in commands() if "quickstart" in " ".join(command) or command == ["models", "list"]]
    outputs = {}
    for command in called:
        if command[0] in ("promote", "models"):
            result = CliRunner().invoke(app, command)
            outputs[" ".join(command)] = result.output
            assert result.exit_code == (1 if command[1] == "rollback" else 0), result.output
    assert "quickstart@champion is version 1 now" in outputs["promote quickstart"]
    assert "quickstart@champion" in outputs["models list"]
    assert "# quickstart" in outputs["models show quickstart@champion"]
    assert "nothing to go back to" in outputs["models rollback quickstart"]
    (code,) = blocks("py")
    code = code.replace("sqlite:////absolute/path/mlruns/mlflow.db", store.tracking_uri)
    code = f"import numpy as np\nwindows = np.zeros((2, 300, 3)) + 0.6\n{code}\nprint(len(model.predict(windows)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("2\n"), done.stderr
    (request,) = (block for block in blocks("sh") if "curl" in block)
    with running_server("quickstart@champion", store.home) as port:
        program = Path(sys.executable).parent
        answered = subprocess.run(
            ["bash", "-euc", request.replace("5001", str(port))],
            env={**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert json.loads(answered.stdout)["predictions"][0]["label"] in small.class_names, answered.stderr


def test_the_python_example_and_the_study_file_ask_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Settings] = []

    def note(settings: Settings) -> None:
        asked.append(settings)
        raise SystemExit

    monkeypatch.setattr("sslwear.studies.optimise.run_study", note)
    with pytest.raises(SystemExit):
        exec(blocks("python")[0], {})
    assert asked == [parse(yaml.safe_load(blocks("yaml")[0]), "the README")]


def test_the_command_is_put_on_the_path_before_it_is_named() -> None:
    before, after = TEXT.split("source .venv/bin/activate\n")
    assert not re.search(r"[`\n]sslwear ", before)
    assert ".venv/bin" not in after


def test_every_command_that_is_named_exists() -> None:
    assert len(commands()) >= 5
    for path in re.findall(r"`sslwear ([a-z]+(?: [a-z]+)?)", TEXT):
        command = get_command(app)
        for word in path.split():
            if hasattr(command, "commands"):
                command = command.commands[word]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= targets


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *sorted(p.name for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_file_that_is_linked_is_there(page: str) -> None:
    path = ROOT / page if (ROOT / page).is_file() else ROOT / "docs" / page
    links = [link for link in re.findall(r"\]\(([^)]+)\)", path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_source_has_its_place_in_the_documentation() -> None:
    text = (ROOT / "docs" / "data.md").read_text()
    for name, source in find().items():
        section = text.split(f"### {name}\n")[1].split("\n##")[0]
        for fact in (source.title, source.licence, source.citation, name):
            assert fact in section
        assert source.embedded or source.homepage in section


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.name)
def test_the_studies_that_come_with_it_are_valid(path: Path) -> None:
    assert load(path).study == path.stem
