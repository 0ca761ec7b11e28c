"""The API reference on the documentation site leaves out no part of the package."""

from __future__ import annotations

import re
from pathlib import Path

import sslwear

PACKAGE = Path(sslwear.__file__).parent
DOCS = PACKAGE.parent / "docs"
ELSEWHERE = {"api", "cli"}
"""`sslwear.api` is the page before, and the command explains itself."""


def test_the_api_reference_lists_every_folder_and_module() -> None:
    listed = re.findall(r"^   sslwear\.(\w+)$", (DOCS / "api" / "modules.md").read_text(), re.MULTILINE)
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    parts |= {path.stem for path in PACKAGE.glob("[!_]*.py")}
    assert sorted(listed) == sorted(parts - ELSEWHERE)
