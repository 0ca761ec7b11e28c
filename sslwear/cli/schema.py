"""The ``sslwear schema`` command: the JSON schema of the study file, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sslwear.cli.terminal import user_errors


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write; printed by default.")] = None,
) -> None:
    """Print or write the JSON schema of the study file, by which editors complete and explain its keys.

    Name it in the first line of a study file: # yaml-language-server: $schema=study.schema.json
    """
    with user_errors():
        from sslwear.config.json_schema import json_schema
        from sslwear.errors import SslwearError

        text = json_schema()
        if out is None:
            print(text, end="")
            return
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SslwearError(
                f"--out {out} cannot be written ({error.strerror}). Give a path in an existing folder"
            ) from error
