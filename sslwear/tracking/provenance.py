"""Provenance of a run: command, commit and versions of libraries."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sslwear.utils.masking import masked
from sslwear.utils.processes import COMMAND_VARIABLE

PREFIX = "sslwear."
"""Prefix of the tags of this package."""
COMPUTING = ("torch", "numpy", "scipy", "scikit-learn")


@cache
def provenance() -> dict[str, str]:
    """Tags of a new run: command, commit of this package and versions of libraries."""
    tags = {f"{PREFIX}versions": versions()}
    tags |= {"mlflow.source.name": masked(user_command()), "mlflow.source.type": "LOCAL"}
    folder = Path(__file__).resolve().parents[1]
    # An installed package may be inside of a repository that does not have it, such as that of a user's project.
    commit = _git(folder, "rev-parse", "HEAD") if _git(folder, "ls-files", "--", ".") else ""
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags[f"{PREFIX}git_dirty"] = str(bool(_git(folder, "status", "--porcelain", "--", "."))).lower()
    return tags


def user_command() -> str:
    """The command that the user gave, as a shell takes it, without secrets."""
    if COMMAND_VARIABLE in os.environ:
        return os.environ[COMMAND_VARIABLE]
    # Masked before they are quoted, because quotes would end a secret.
    program, arguments = Path(sys.argv[0]), [masked(one) for one in sys.argv[1:]]
    if program.suffix == ".py" and program.parts[-2:] != ("sslwear", "__main__.py"):
        return shlex.join(["python", str(program), *arguments])
    return shlex.join(["sslwear", *arguments])


def versions() -> str:
    """Versions of Python and of the libraries that compute results."""
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in COMPUTING)])


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
