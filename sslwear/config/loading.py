"""Reads and validates study files; an error names the key and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sslwear.config.changes import Change, changed
from sslwear.config.files import read
from sslwear.config.schema import Settings
from sslwear.config.unused import unused_keys
from sslwear.errors import SettingsError


def load(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a study file.

    Args:
        path: a YAML 1.2 file. It may take another one as its ``base``.
        overrides: ``key=value`` texts with dotted keys, such as ``training.max_epochs=3``; values are YAML. A key
            that an override leaves without effect is removed.

    Raises:
        SettingsError: when the file cannot be read, a key is unknown or would do nothing, or a value is not allowed.
    """
    return check(read(path), [Change.set(text) for text in overrides], str(path))


def check(content: Mapping[str, Any], changes: Sequence[Change], origin: str) -> Settings:
    """Change a study file's content and validate it; `origin` says in messages where it comes from.

    Raises:
        SettingsError: when a key is unknown or would do nothing, or a value is not allowed.
    """
    content = changed(content, Change.all(changes))
    settings = parse(content, origin)
    for keys, unused in unused_keys(content).items():
        if not (unused.in_file_only and any(change.gives(keys) for change in changes)):
            raise SettingsError(f"{origin}: {_key(keys)} would do nothing, because {unused.reason}. Remove it")
    return settings


def parse(content: Mapping[str, Any], origin: str) -> Settings:
    """Validate settings; `origin` says in messages where they come from.

    Raises:
        SettingsError: naming the first key that is wrong, and what is allowed.
    """
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise SettingsError(f"{origin}: {_sentence(problems)}") from error


def _sentence(problems: Sequence[Any]) -> str:
    """One sentence about the first problem."""
    problem = problems[0]
    if problem["type"] == "extra_forbidden":
        return f"unknown key {_key(problem['loc'])!r}; allowed here are {', '.join(_fields(problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"the key {_key(problem['loc'])!r} is missing; add it"
    location = [part for part in problem["loc"] if not _is_union_branch(part)]
    key = _key(location)
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    if key == "search.tuning":
        message = "input should be 'any' or a list such as [all, head, layer4-5]"
    if key == "threads":
        message = "input should be auto or a number of cores, 1 or more"
    if key == "device":
        message = "input should be auto, cpu, cuda, cuda:N or mps"
    if key == "study":
        message = "input should be a name of letters, digits, '.', '_' and '-'"
    if key == "evaluation.methods":
        message = "input should be names, each with what differs from training, such as {first block: {tuning: layer1}}"
    if problem["type"] == "string_pattern_mismatch" and key.startswith("evaluation.methods"):
        message = "a method's name should be of letters, digits, spaces and .,:()+-_"
    if problem["type"] == "string_type":
        message = "input should be text, in quotes where YAML takes it for something else"
    if problem["type"] == "tuple_type" and key != "search.tuning":
        message = "input should be a list"
    if problem["type"] == "model_type":
        message = f"this is a section with the keys {', '.join(_fields(location))}"
    return f"{key}: {message}, but got {problem['input']!r}"


def _key(location: Sequence[Any]) -> str:
    return ".".join(str(part) for part in location)


def _is_union_branch(part: Any) -> bool:
    return isinstance(part, str) and ("[" in part or part.startswith(("literal", "tuple")))


def _fields(location: Sequence[Any]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in location:
        if str(part) not in model.model_fields:  # a name in a mapping
            continue
        annotation = model.model_fields[str(part)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        candidates += [inner for candidate in candidates for inner in getattr(candidate, "__args__", ())]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
