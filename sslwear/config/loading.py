"""Reads and validates study files; an error names the key and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sslwear.config.schema import Settings
from sslwear.errors import SettingsError


def load(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a study file.

    Args:
        path: a YAML file.
        overrides: ``key=value`` texts with dotted keys, such as ``training.max_epochs=3``; values are YAML.

    Raises:
        SettingsError: when the file cannot be read, a key is unknown or a value impossible.
    """
    try:
        content = _yaml(path.read_text())
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no study file {path}; give the path of one such as experiments/quickstart.yaml"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}); give a YAML file") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise SettingsError(f"{path} is not YAML: {problem}{line}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must be a YAML mapping that starts with 'study:' and 'data:'")
    for text in overrides:
        _override(content, text)
    return parse(content, str(path))


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


def _override(content: dict[str, Any], text: str) -> None:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise SettingsError(f"--set {text}: write key=value, for example --set training.max_epochs=3")
    *path, last = key.strip().split(".")
    section: Any = content
    for name in path:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise SettingsError(f"--set {text}: {name} has no keys below it")
    try:
        section[last] = _yaml(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {text}: {value!r} is not a YAML value") from error


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


class _UniqueKeySafeLoader(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once, because the other one would be ignored silently."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Read a mapping.

        Raises:
            yaml.constructor.ConstructorError: when a key stands twice.
        """
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen:
                problem = f"the key {key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(name)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value.

        Raises:
            yaml.constructor.ConstructorError: when PyYAML takes it for something that it is not, as 2024-02-30 for a
                date.
        """
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"{node.value!r} cannot be read ({error}); put it in quotes"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from error


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=_UniqueKeySafeLoader)  # noqa: S506 - a SafeLoader
