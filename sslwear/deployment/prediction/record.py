"""Record of a predicted recording, by which a repeated command knows what it has finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sslwear
from sslwear.errors import DataError
from sslwear.utils.digests import sha256

Identity = Mapping[str, Any]
"""What the output files of a recording depend on."""


def model_digest(folder: Path) -> str:
    """SHA-256 of the files of a saved model."""
    content = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        content.update(f"{path.name} {sha256(path)} ".encode())
    return content.hexdigest()


def identity(file: Path, model: str, options: Mapping[str, Any]) -> Identity:
    """Identity of the output files of a recording: its content, the model, the options and the version of sslwear.

    Args:
        file: the recording.
        model: digest of the model.
        options: options that change the output files; their values are those that JSON has.

    Raises:
        DataError: when the recording cannot be read.
    """
    try:
        content = sha256(file)
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{file} cannot be read ({why}); make it readable", reason="cannot be read") from error
    return {"recording": content, "model": model, "options": dict(options), "sslwear": sslwear.__version__}


def made_by(found: Identity) -> dict[str, Any]:
    """The model, the options and the version of sslwear in an identity, which the recordings of a table share."""
    return {key: value for key, value in found.items() if key != "recording"}


def write(path: Path, place: Path, found: Identity, result: Mapping[str, Any] | None) -> None:
    """Write a record; it is complete or does not exist.

    Args:
        path: file of the record.
        place: folder for the unfinished file, on the same disk.
        found: identity of the output files.
        result: what is told about a finished recording; None while its files are being written.
    """
    unfinished = place / path.name
    unfinished.write_text(json.dumps({"identity": found, "result": result}, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


def read(path: Path) -> tuple[Identity, Mapping[str, Any] | None] | None:
    """Identity and result of a record; None if there is no file that `write` has written."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        found, result = dict(content["identity"]), content["result"]
        return found, None if result is None else dict(result)
    return None
