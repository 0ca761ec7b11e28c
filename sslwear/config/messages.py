"""Sentences about settings that are not valid: the key, what is allowed, and what was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sslwear.config.values import dotted, shown

ALLOWED = {
    "search.tuning": "input should be 'any' or a list such as [all, head, layer4-5]",
    "split.folds": "input should be a number of folds, 2 or more, or participants for one fold each",
    "threads": "input should be auto or a number of cores, 1 or more",
    "device": "input should be auto, cpu, cuda, cuda:N or mps",
    "study": "input should be a name of letters, digits, '.', '_' and '-' that starts with a letter or a digit",
    "evaluation.methods": "input should be names, each with what differs from training, such as "
    "{first block: {tuning: layer1}}",
}
"""What is allowed for keys whose rule says too little."""
QUOTES = ", in quotes where YAML takes it for something else"
"""Advice for a text that YAML reads as a number, a date or a boolean."""
BRANCHES = ("literal", "tuple")
"""Beginnings of pydantic's names for the members of a union."""


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """One sentence about the first key that is not valid.

    Args:
        error: the error of `model`.
        model: the settings.
    """
    problem, *others = error.errors(include_url=False)
    place, kind = problem["loc"], problem["type"]
    inner = tuple(part for i, part in enumerate(place) if place[i - 1 : i] == ("methods",) or not _is_branch(part))
    if kind in ("extra_forbidden", "missing"):  # the key itself may look like a branch
        place = (*inner[: len(inner) - (not _is_branch(place[-1]))], place[-1])
    if kind == "extra_forbidden":
        allowed = ", ".join(_section(model, place[:-1]).model_fields)
        if place[:-1] == ("search",):
            return f"search.{dotted(place[1:])} cannot be searched; keys that can be are {allowed}"
        if meant := _meant(model, place):
            return f"unknown key {dotted(place)!r}. Did you mean {' or '.join(meant)}? Allowed here are {allowed}"
        return f"unknown key {dotted(place)!r}; allowed here are {allowed}"
    if kind == "missing":
        beside = (other["loc"] for other in others if other["type"] == "extra_forbidden")
        unknown = next((loc[-1] for loc in beside if loc[:-1] == problem["loc"][:-1]), None)
        misspelt = "" if unknown is None else f". The key {dotted((*place[:-1], unknown))!r} is unknown"
        return f"the key {dotted(place)!r} is missing; add it{misspelt}"
    place = inner
    given = problem["input"]
    key = dotted((*place[:-1], given) if kind == "invalid_key" else place)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    if kind == "model_type":
        message = f"input should be a section with the keys {', '.join(_section(model, place).model_fields)}"
    elif kind == "string_too_long":
        longest = problem["ctx"]["max_length"]
        return f"{key}: input should have at most {longest} characters, but has {len(given)}: {shown(given)}"
    elif kind == "string_pattern_mismatch" and key.startswith("evaluation.methods"):
        message = "a method's name should be of letters, digits, spaces and .,:()+-_"
    elif key in ALLOWED:
        message = ALLOWED[key] + (QUOTES if kind == "string_type" else "")
    elif kind == "string_type":
        message = f"input should be text{QUOTES}"
    elif kind == "tuple_type":
        message = "input should be a list"
        if "tuple[choices]" in problem["loc"]:
            message += " of values, or a range such as {low: 1, high: 10}"
    return f"{key}: {message[0].lower()}{message[1:]}, but got {shown(given)}"


def _meant(model: type[BaseModel], place: Sequence[Any]) -> list[str]:
    """Keys that were probably meant: of other sections with the same name, or of this section with a similar one."""
    here, name = _section(model, place[:-1]), str(place[-1])
    sections = {f"{key}.": next(_models(field.annotation), None) for key, field in model.model_fields.items()}
    others = {"": model} if len(place) > 1 else sections
    same = [f"{key}{name}" for key, one in others.items() if one is not None and name in one.model_fields]
    return same or [dotted((*place[:-1], key)) for key in get_close_matches(name, here.model_fields, n=1)]


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and ("[" in part or part.startswith(BRANCHES))


def _section(model: type[BaseModel], place: Sequence[Any]) -> type[BaseModel]:
    """The section at a place of the settings."""
    for before, part in zip(("", *place), place, strict=False):
        if before == "methods" or str(part) not in model.model_fields:  # a name in a mapping
            continue
        model = next(_models(model.model_fields[str(part)].annotation))
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections in a type, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
