"""Keys of a study file that would do nothing, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sslwear.config.schema import NO_PRETEXT, OLD_KEYS, ROTATION

KeyPath = tuple[str, ...]
"""A key and the sections above it, such as ``("training", "augment")``."""
COMBINED = ("baseline", "ensemble", "select_on_validation")
"""Keys of a method that trains no network."""
SECTIONS = frozenset({"split", "training", "pretraining", "search", "sampler", "pruner", "cache"})
ROTATIONS = (True, ROTATION)
"""Values of ``augment`` for random rotations."""


@dataclass(frozen=True)
class Unused:
    """Why a key would do nothing.

    Attributes:
        reason: the end of the sentence 'it would do nothing, because ...'.
        in_file_only: whether it is refused in a file only, because a command such as ``sslwear train`` may use it.
    """

    reason: str
    in_file_only: bool = False


def unused_keys(content: Mapping[str, Any]) -> dict[KeyPath, Unused]:
    """Keys that are given and would do nothing; content that is not valid is passed over.

    A key whose value is null counts as left out. In settings with all their sections, as runs log them in
    ``settings.yaml``, there are none, because they state defaults too.

    Args:
        content: a study file.
    """
    if content.keys() >= SECTIONS:
        return {}
    found = {path: unused for rule in RULES for path, unused in rule(content)}
    return {path: unused for path, unused in found.items() if _value(content, path) is not None}


def _value(content: Any, path: KeyPath) -> Any:
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _section(content: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A section without its keys that are null, old spellings replaced."""
    found = _value(content, path)
    if not isinstance(found, Mapping):
        return {}
    old = {} if path[-1] == "methods" else OLD_KEYS
    return {old.get(key) or key: value for key, value in found.items() if value is not None}


def _trained(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Methods of the evaluation that train a network, with what they have from `training`."""
    training = _section(content, "training")
    methods = {name: _section(content, "evaluation", "methods", name) for name in _methods(content)}
    return {name: {**training, **own} for name, own in methods.items() if not own.keys() & set(COMBINED)}


def _methods(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return _section(content, "evaluation", "methods")


def _choices(content: Mapping[str, Any], key: str, default: Any) -> list[Any]:
    """Values that a key of `training` may have in any training."""
    training, searched = _section(content, "training"), _section(content, "search").get(key, ())
    tried = list(searched) if isinstance(searched, (list, tuple)) else [searched]
    return [training.get(key, default), *tried, *(method.get(key, default) for method in _trained(content).values())]


def _only_evaluated(content: Mapping[str, Any]) -> bool:
    return bool(_section(content, "evaluation")) and not _section(content, "search")


def _augmentation(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Unused]]:
    sections: dict[KeyPath, tuple[list[Any], list[Any]]] = {
        ("training",): (_choices(content, "augment", False), _choices(content, "tuning", "all"))
    }
    for name, method in _trained(content).items():
        own = [method.get("augment", False)], [method.get("tuning", "all")]
        sections["evaluation", "methods", name] = own
    for path, (augment, tuning) in sections.items():
        if not any(augment):
            for key in ("augment_degrees", "augmented_views"):
                yield (*path, key), Unused("windows are not augmented (augment: true)")
            continue
        if not any(value in ROTATIONS for value in augment):
            yield (*path, "augment_degrees"), Unused("windows are not rotated (augment: true)")
        if all(value == "all" for value in tuning):
            yield (*path, "augmented_views"), Unused("the first block is never frozen (tuning: all)")


def _pretraining(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Unused]]:
    settings, asked = _section(content, "pretraining"), _choices(content, "pretext", NO_PRETEXT)
    if settings and all(pretext == NO_PRETEXT for pretext in asked):
        yield ("pretraining",), Unused("no pretext task is asked for (training.pretext, search.pretext)")
        return
    if "data" in settings:
        return
    everything = "each epoch takes all windows of the training participants (there is no pretraining.data)"
    yield ("pretraining", "windows_per_participant"), Unused(everything)
    if settings.get("sampling") == "uniform":
        yield ("pretraining", "participants_at_a_time"), Unused(everything)


def _search(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Unused]]:
    if _section(content, "search"):
        return
    for key in ("sampler", "pruner"):
        yield (key,), Unused("nothing is searched (section search)", in_file_only=True)
    if _only_evaluated(content):
        yield ("trials",), Unused("the file has an evaluation and searches nothing", in_file_only=True)
        yield ("seed",), Unused("an evaluation has its own seeds (evaluation.seeds)", in_file_only=True)


def _pruner(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Unused]]:
    name = _section(content, "pruner").get("name", "median")
    uses = {
        "warmup_epochs": ("median", "halving", "hyperband"),
        "startup_trials": ("median",),
        "reduction_factor": ("halving", "hyperband"),
    }
    for key, names in uses.items():
        if name not in names:
            yield ("pruner", key), Unused(f"the pruner is {name}, and only {', '.join(names)} has it")


def _evaluation(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Unused]]:
    evaluation = _section(content, "evaluation")
    if not evaluation:
        return
    protocol = evaluation.get("protocol", "k_fold")
    if protocol != "k_fold":
        yield ("evaluation", "folds"), Unused(f"the protocol is {protocol}")
    if not _trained(content):
        for key in ("refit", "keep_checkpoints"):
            yield ("evaluation", key), Unused("no method trains a network")
    if protocol != "hold_out" and _only_evaluated(content):
        why = f"everybody is tested once (evaluation.protocol: {protocol})"
        yield ("split", "test"), Unused(why, in_file_only=True)
        if protocol == "leave_one_out":  # k_fold draws its groups with this seed
            yield ("split", "test_seed"), Unused(why, in_file_only=True)


def _cache(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Unused]]:
    if _section(content, "cache").get("disk_gb") == 0:
        yield ("cache", "memory_gb"), Unused("disk_gb is 0, so nothing is kept")


RULES = (_augmentation, _pretraining, _search, _pruner, _evaluation, _cache)
