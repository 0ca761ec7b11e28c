"""Makes the page of all keys of the study file from the settings: ``python docs/keys.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sslwear.config import Settings
from sslwear.config.evaluation import MethodSettings
from sslwear.config.files import BASE
from sslwear.config.json_schema import BASE_KEY
from sslwear.config.search import SearchSettings
from sslwear.config.sections import TrainingSettings
from sslwear.config.yaml import to_yaml

PAGE = Path(__file__).with_suffix(".md")
START = """# All keys of the study file

`python docs/keys.py` writes this page from the settings. [The study file](study-file.md) explains the keys in context.
A key without a default must be given, but for `base`; one whose default is `null` may be left out.
"""
SEARCH = "Any key of `training`, or of `pretraining` except `data`, with [values to try](study-file.md#search)."
HEADER = ("| key | default | meaning |", "|---|---|---|")
METHOD = "Keys of one method, besides those of `training`, which replace the values there:"


def page() -> str:
    """The page in Markdown: one table for each section, with the default of each key."""
    base = f"| `{BASE}` |  | {BASE_KEY['description']} |"
    parts = [START, "## Top level", f"{table(Settings, '')}\n{base}"]
    for name, field in Settings.model_fields.items():
        section = _section(field)
        if section is not None:
            parts += [f"## `{name}`", _sentence(field)]
            parts.append(SEARCH if section is SearchSettings else table(section, f"{name}."))
    own = {key: field for key, field in MethodSettings.model_fields.items() if key not in TrainingSettings.model_fields}
    parts += ["## `evaluation.methods`", METHOD, "\n".join([*HEADER, *(_row(key, own[key]) for key in own)])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(section: type[BaseModel], prefix: str) -> str:
    """The keys of a section that have no keys below them."""
    fields = section.model_fields.items()
    return "\n".join([*HEADER, *(_row(f"{prefix}{key}", field) for key, field in fields if _section(field) is None)])


def _row(key: str, field: FieldInfo) -> str:
    default = "" if field.is_required() else f"`{_yaml(field.get_default(call_default_factory=True))}`"
    return f"| `{key}` | {default} | {_sentence(field)} |"


def _sentence(field: FieldInfo) -> str:
    return " ".join(str(field.description).split()).replace("|", "\\|")


def _yaml(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else to_yaml({"x": value}).removeprefix("x:").strip()


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a key has below it; None for a key with a value."""
    return next(_sections(field.annotation), None)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Sections that a type is, or that it may be besides null."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one


if __name__ == "__main__":
    PAGE.write_text(page())
