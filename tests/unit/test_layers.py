"""Folders of the package import only folders that stand before them in docs/architecture.md."""

import ast
import re
from pathlib import Path

import pytest

import sslwear

PACKAGE = Path(sslwear.__file__).parent
ROOT = PACKAGE.parent
ORDER = (
    "errors",
    "utils",
    "config",
    "transforms",
    "data",
    "encoders",
    "model",
    "tuning",
    "training",
    "pretext",
    "evaluation",
    "reports",
    "tracking",
    "studies",
    "deployment",
    "cli",
)
"""Folders and modules directly under the package, in the order of imports."""
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def imported(path: Path) -> set[str]:
    """Folders that a module imports from, imports inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sslwear":
            names = (node.module or "").split(".")[1:2] or [alias.name for alias in node.names]
            found.update(name for name in names if not name.startswith("__"))
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("sslwear."))
    return found


def folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_folders_before_its_own(path: Path) -> None:
    mine = folder(path)
    assert mine in ORDER, f"{mine} has no place in the order yet"
    for other in imported(path):
        assert ORDER.index(other) <= ORDER.index(mine), f"{mine} must not import {other}, which comes after it"


@pytest.mark.parametrize("library", ["optuna", "mlflow"])
def test_training_uses_neither_optuna_nor_mlflow(library: str) -> None:
    for path in MODULES:
        if ORDER.index(folder(path)) <= ORDER.index("reports"):
            assert not re.search(rf"^\s*(import|from) {library}\b", path.read_text(), re.MULTILINE), path
