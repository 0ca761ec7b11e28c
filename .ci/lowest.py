"""Prints the lowest versions that pyproject.toml allows, as constraints for pip: `python .ci/lowest.py > FILE`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest(requirement: str) -> str:
    """The constraint that pins a requirement to its lower bound.

    Raises:
        SystemExit: it has no lower bound.
    """
    match = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?(?:>=|==)([\w.]+)", requirement)
    if match is None:
        raise SystemExit(f"{PYPROJECT.name}: {requirement} has no lower bound; write it as name>=version")
    return f"{match[1]}=={match[2]}"


def main() -> None:
    """Print a line a package of the library and of its tests, extras included."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(line for name in extras if name != "dev" for line in extras[name])]
    print("\n".join(sorted({lowest(requirement) for requirement in requirements}, key=str.lower)))


if __name__ == "__main__":
    main()
