"""Code that a promoted model includes."""

from __future__ import annotations

import ast
from pathlib import Path

import sslwear
from sslwear.deployment.model_package import CODE


def test_a_model_includes_all_files_of_the_package_that_it_imports() -> None:
    package = Path(sslwear.__file__).parent
    included = {
        file for part in CODE for file in ([package / part] if part.endswith(".py") else package.glob(f"{part}/*.py"))
    }
    for file in included - {package / "__init__.py"}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sslwear."):
                place = package.parent / (node.module or "").replace(".", "/")
                for name in [alias.name for alias in node.names] if place.is_dir() else [""]:
                    assert (place / f"{name}.py" if name else place.with_suffix(".py")) in included, (file, node.module)
