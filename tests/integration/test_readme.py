"""Commands, examples and lists in the README and the other pages work, and are complete."""

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
from typer.main import get_command
from typer.testing import CliRunner

from sslwear.augmentations.base import find as find_augmentations
from sslwear.augmentations.base import forms_of
from sslwear.cli.app import app
from sslwear.config import (
    SUPERVISED,
    EvaluationSettings,
    PretrainingSettings,
    Settings,
    TrainingSettings,
    from_yaml,
    parse,
)
from sslwear.data.dataset import Dataset
from sslwear.data.sources.base import find
from sslwear.encoders.base import Encoder
from sslwear.encoders.base import get as get_encoder
from sslwear.pretext.base import find as find_pretext
from sslwear.studies.search.optimise import run_study
from sslwear.tracking import Store
from sslwear.tuning.base import TuningStrategy
from sslwear.tuning.base import parse as parse_tuning
from sslwear.utils import plugins
from tests.integration.serving import running_server

ROOT = Path(__file__).resolve().parents[2]
README, STUDY_FILE, MODELS = "README.md", "docs/study-file.md", "docs/models.md"
PAGES = [
    README,
    "CONTRIBUTING.md",
    "experiments/README.md",
    "mlruns/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]


def read(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", read(page), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The calls of sslwear in a page's shell blocks, without the name of the program."""
    text = "".join(blocks("sh", page)).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [line[1:] for line in lines if line and line[0].endswith("sslwear")]


def table(page: str, header: str) -> list[list[str]]:
    """Values in code of the first column of a table that begins with a header, row by row."""
    rows = read(page).split(f"{header}\n")[1].split("\n\n")[0].splitlines()[1:]
    return [re.findall(r"`([^`]+)`", row.split(" | ")[0]) for row in rows]


def values(page: str, header: str) -> list[str]:
    return [value for row in table(page, header) for value in row]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["sh", "python"])
def test_the_example_on_ones_own_arrays_runs(
    program: str, small_folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(store.home))
    monkeypatch.chdir(tmp_path)
    Path("my-data").mkdir()
    for array in ("X", "Y", "pid", "T"):
        np.save(f"my-data/{array}.npy", np.load(small_folder / f"{array}.npy")[::6])
    Path("my-data/dataset.json").write_text('{"name": "my-data", "window_s": 5}')  # only every sixth window is there
    Path("my-study.yaml").write_text(blocks("yaml", README)[0])
    if program == "python":
        (code,) = blocks("python", README)
        assert len(code.splitlines()) <= 10
        assert "trials=20" in code
        code = code.replace("trials=20", "trials=4")  # the rest as it stands
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^best: 0\.\d+ .*weights: runs:/[0-9a-f]{32}$", done.stdout, re.MULTILINE)
        assert len(re.findall(r"^\d .*\b(finished|pruned)\b", done.stdout, re.MULTILINE)) == 4
        return
    for command in commands(README):
        if "my-study" in " ".join(command) and "--trials" not in command:
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, result.output
    assert " was selected." in CliRunner().invoke(app, ["study", "show", "my-study"]).stdout


@pytest.mark.slow
def test_the_way_from_a_study_to_a_served_model_runs(
    make: Callable[..., Settings], small: Dataset, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(store.home))
    monkeypatch.chdir(tmp_path)
    training = {"tuning": "head", "max_epochs": 1}
    run_study(make(study="quickstart", encoder="harnet10", training=training, search={}, trials=1), store)
    called = [command for page in (README, MODELS) for command in commands(page)]
    called = [command for command in called if "quickstart" in " ".join(command) or command == ["models", "list"]]
    called = [command for command in called if "copy" not in command]  # which needs another server
    outputs: dict[str, str] = {}
    for command in called:
        if command[0] in ("promote", "models"):
            result = CliRunner().invoke(app, command)
            outputs.setdefault(" ".join(command), result.output)
            assert result.exit_code == (1 if command[1] == "rollback" else 0), result.output
    assert re.search(r"quickstart@champion is .*version 1", outputs["promote quickstart"])
    assert "quickstart@champion" in outputs["models list"]
    assert "# quickstart" in outputs["models show quickstart@champion"]
    assert "models rollback quickstart" in outputs
    (code,) = blocks("py", MODELS)
    code = code.replace("sqlite:////absolute/path/mlruns/mlflow.db", store.tracking_uri)
    code = f"import numpy as np\nwindows = np.zeros((2, 300, 3)) + 0.6\n{code}\nprint(len(model.predict(windows)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("2\n"), done.stderr
    (request,) = (block for block in blocks("sh", MODELS) if "curl" in block)
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


def test_the_command_is_put_on_the_path_before_it_is_named() -> None:
    before, after = read(README).split("source .venv/bin/activate\n")
    assert not re.search(r"[`\n]sslwear ", before.split("## Two commands")[1])
    assert ".venv/bin" not in after


def test_the_readme_is_short() -> None:
    assert len(read(README).splitlines()) < 150


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    for path in re.findall(r"`sslwear\s+([a-z]+(?:\s+[a-z]+)?)", read(page)):
        command = get_command(app)
        for word in path.split():
            if hasattr(command, "commands"):
                command = command.commands[word]
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", read(page))) <= targets


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_the_command_line_takes_every_command_as_it_is_written(page: str) -> None:
    for arguments in commands(page):
        command, rest = get_command(app), list(arguments)
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        taken = command.make_context(command.name, rest)  # an unknown option or a missing argument is an error
        assert taken.args == []


def test_commands_are_found_in_the_pages_that_have_them() -> None:
    assert len(commands(README)) >= 10
    for page in (MODELS, "docs/published-weights.md", "experiments/README.md"):
        assert len(commands(page)) >= 2


def test_every_pretext_task_is_listed_and_no_other() -> None:
    assert set(values(STUDY_FILE, "| value | question about a window |")) == {"none", SUPERVISED, *find_pretext()}


def test_every_encoder_is_listed_and_no_other() -> None:
    assert set(values(STUDY_FILE, "| `encoder` | network |")) == set(plugins.find("sslwear.encoders", Encoder))


def test_every_tuning_strategy_is_listed_and_every_value_is_one() -> None:
    encoder = get_encoder("harnet10")
    listed = {parse_tuning(value, encoder).name for value in values(STUDY_FILE, "| value | what learns |")}
    assert listed == set(plugins.find("sslwear.tuning", TuningStrategy))


def test_every_augmentation_is_listed_in_all_its_forms_and_no_other() -> None:
    forms = {form for augmentation in find_augmentations().values() for form in forms_of(augmentation)}
    assert set(values(STUDY_FILE, "| value | what happens to a window |")) == forms


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("## Other keys of `training`", TrainingSettings),
        ("The section `pretraining` has", PretrainingSettings),
        ("## Search", None),
        ("## Evaluation", EvaluationSettings),
        ("## Computation", Settings),
    ],
)
def test_every_key_in_a_table_exists(heading: str, section: type | None) -> None:
    text = read(STUDY_FILE).split(heading)[1].split("| key | meaning |\n")[1].split("\n\n")[0]
    keys = [key for row in text.splitlines()[1:] for key in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert keys
    for key in keys:
        *path, last = key.split(": ")
        model = section or (Settings.model_fields[path[0]].annotation if path else Settings)
        assert last in model.model_fields, key  # type: ignore[union-attr]


def test_the_examples_of_sections_are_valid() -> None:
    training, choices, search, evaluation = (
        parse({"study": "example", "data": "smartwatch", **from_yaml(example)}, "the example")
        for example in blocks("yaml", STUDY_FILE)
    )
    assert training.training.augment == "rotate(20)+scale(0.1)+tempo(0.15)+jitter(0.02)"
    assert choices.search.augment == (False, True, "rotate(20)", "rotate(20)+scale(0.1)")
    assert search.search.space
    assert evaluation.evaluation is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_heading_that_is_linked_is_there(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", read(page)):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if fragment:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert fragment in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}, link


def test_every_source_has_its_place_in_the_documentation() -> None:
    text = (ROOT / "docs" / "data.md").read_text()
    for name, source in find().items():
        section = text.split(f"### {name}\n")[1].split("\n##")[0]
        for fact in (source.title, source.licence, source.citation, name):
            assert fact in section
        assert source.embedded or source.homepage in section
