"""Folders of the package import only folders that stand before them in docs/architecture.md."""

import ast
import re
from pathlib import Path

import pytest

import sslwear

PACKAGE = Path(sslwear.__file__).parent
ROOT = PACKAGE.parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
ORDER = (
    "errors",
    "utils",
    "config",
    "transforms",
    "augmentations",
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
    "api",
    "cli",
    "testing",
)
"""Folders and modules directly under the package, in the order of imports."""
STUDIES = ("setup", "database", "results", "workers", "trial", "search", "evaluations", "reruns")
"""Folders of ``studies/``, in the order of imports."""
ENDS = (PACKAGE / "__init__.py", PACKAGE / "__main__.py")
"""Modules that only pass on the public interface and the command."""
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path not in ENDS]


def imported(path: Path, within: str = "sslwear") -> set[str]:
    """Folders of a package that a module imports from, imports inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        found.update(name.removeprefix(f"{within}.").split(".")[0] for name in modules if name.startswith(f"{within}."))
    return {name for name in found if not name.startswith("__")}


def folder(path: Path, within: Path = PACKAGE) -> str:
    return path.relative_to(within).parts[0].removesuffix(".py")


def listed(lines: str) -> tuple[str, ...]:
    """Folders and modules of a list, without slash and ending."""
    return tuple(re.findall(r"^(?:\| `)?([a-z_]+)(?:\.py|/)(?:` \||  )", lines, re.MULTILINE))


def test_the_documents_list_the_folders_in_the_order_of_imports() -> None:
    table, inner = (rows.split("\n\n")[0] for rows in ARCHITECTURE.split("| content |")[1:3])
    block = (ROOT / "README.md").read_text().split("## The package\n")[1].split("```")[1]
    assert listed(table) == ORDER
    assert listed(block) == ORDER
    assert listed(inner) == STUDIES


def test_every_module_that_the_architecture_document_names_exists() -> None:
    table, text = ARCHITECTURE.split("| folder | content |")[1].split("\n\n", 1)
    rows = [row.split("|") for row in table.splitlines()[2:]]
    named = {row[1].strip(" `") + module for row in rows for module in re.findall(r"`([\w/]+\.py)`", row[3])}
    named |= {
        path for path in re.findall(r"`((?:\w+/)+\w+\.py)`", text) if not path.startswith(("tests/", "benchmarks/"))
    }
    assert len(named) > len(ORDER)
    assert [path for path in sorted(named) if not (PACKAGE / path).is_file()] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_folders_before_its_own(path: Path) -> None:
    mine = folder(path)
    assert mine in ORDER, f"{mine} has no place in the order yet"
    for other in imported(path):
        assert ORDER.index(other) <= ORDER.index(mine), f"{mine} must not import {other}, which comes after it"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if folder(path) == "studies" and path.parent.name != "studies"],
    ids=lambda path: path.stem,
)
def test_a_module_of_studies_imports_only_its_folders_before_its_own(path: Path) -> None:
    mine = folder(path, PACKAGE / "studies")
    for other in imported(path, "sslwear.studies"):
        assert STUDIES.index(other) <= STUDIES.index(mine), f"{mine} must not import {other}, which comes after it"


@pytest.mark.parametrize("library", ["optuna", "mlflow"])
def test_training_uses_neither_optuna_nor_mlflow(library: str) -> None:
    for path in MODULES:
        if ORDER.index(folder(path)) <= ORDER.index("reports"):
            assert not re.search(rf"^\s*(import|from) {library}\b", path.read_text(), re.MULTILINE), path
