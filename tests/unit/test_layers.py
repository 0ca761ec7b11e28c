"""Data flows down the list, so imports point up it: a module may import only what stands before it."""

import ast
from pathlib import Path

import pytest

import sslwear

ORDER = (
    "errors",
    "interruption",
    "secrets",
    "workers",
    "sections",
    "settings",
    "plugins",
    "transforms",
    "data",
    "scores",
    "encoders",
    "model",
    "task",
    "pretext",
    "tuning",
    "training",
    "evaluation",
    "provenance",
    "tracking",
    "checkpoints",
    "monitoring",
    "search",
    "pyfunc",
    "registry",
    "model_card",
    "registration",
    "promotion",
    "export",
    "labelling",
    "prediction",
    "server",
    "scoring",
    "terminal",
    "console_data",
    "console_model",
    "console_predict",
    "console",
    "console_study",
    "cli_data",
    "cli_pretext",
    "cli_study",
    "cli_evaluate",
    "cli_model",
    "cli_predict",
    "cli_rerun",
    "cli",
)
PACKAGE = Path(sslwear.__file__).parent


def imported_layers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sslwear":
            names = (node.module or "").split(".")[1:2] or [alias.name for alias in node.names]
            found.update(name for name in names if not name.startswith("__"))
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("sslwear."))
    return found


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_up(path: Path) -> None:
    mine = layer(path)
    assert mine in ORDER, f"{mine} has no place in the order yet"
    for other in imported_layers(path):
        assert ORDER.index(other) <= ORDER.index(mine), f"{mine} must not import {other}, which stands below it"


@pytest.mark.parametrize("name", ["optuna", "mlflow"])
def test_training_knows_neither_optuna_nor_mlflow(name: str) -> None:
    for path in MODULES:
        if ORDER.index(layer(path)) <= ORDER.index("training"):
            assert f"import {name}" not in path.read_text()
            assert f"from {name}" not in path.read_text()
