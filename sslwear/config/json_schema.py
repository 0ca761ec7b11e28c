"""JSON schema of the study file, by which editors complete, check and explain its keys."""

from __future__ import annotations

import json

from sslwear.config.files import BASE
from sslwear.config.schema import Settings

BASE_KEY = {
    "title": "Base",
    "type": "string",
    "description": "Another study file, relative to this one. Mappings are merged key by key, other values are "
    "replaced, and null removes a key.",
}


def json_schema() -> str:
    """The JSON schema as text, the same for the same version of the package.

    A file with a ``base`` has what the base lacks, so no key is required.
    """
    schema = Settings.model_json_schema()
    schema["properties"][BASE] = BASE_KEY
    required = schema.pop("required")
    schema["anyOf"] = [{"required": [BASE]}, {"required": required}]
    text = json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2)
    return text.replace("\\n", " ") + "\n"  # docstrings are wrapped
