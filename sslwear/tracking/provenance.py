"""Provenance of a run: command, commit and versions of libraries."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sslwear.utils.masking import masked

PREFIX = "sslwear."
"""Prefix of the tags of this package."""
COMPUTING = ("torch", "numpy", "scipy", "scikit-learn")


@cache
def provenance() -> dict[str, str]:
    """Tags of a new run: command, commit of this package and versions of libraries."""
    tags = {f"{PREFIX}versions": versions()}
    tags |= {"mlflow.source.name": masked(" ".join(["sslwear", *sys.argv[1:]])), "mlflow.source.type": "LOCAL"}
    folder = Path(__file__).resolve().parents[1]
    commit = _git(folder, "rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags[f"{PREFIX}git_dirty"] = str(bool(_git(folder, "status", "--porcelain", "--", "."))).lower()
    return tags


def versions() -> str:
    """Versions of Python and of the libraries that compute results."""
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in COMPUTING)])


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
