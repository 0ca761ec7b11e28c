"""Keys of a study file that would do nothing, each with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, get_args

from sslwear.config.augment import joined
from sslwear.config.kinds import NO_PRETEXT, SPELLINGS

KeyPath = tuple[str, ...]
"""A key and the sections above it, such as ``("training", "augment")``."""
Command = Literal["study", "train", "pretrain", "evaluate"]
"""``sslwear study run``, ``sslwear train``, ``sslwear pretrain`` or ``sslwear evaluate``."""
COMMANDS: tuple[Command, ...] = get_args(Command)
COMBINED = ("baseline", "ensemble", "select_on_validation", "probe")
"""Keys of a method that trains no network of its own."""
SECTIONS = frozenset({"split", "training", "pretraining", "search", "sampler", "pruner", "cache"})
NESTED = ("sampler", "pruner", "constraint", "select")
"""Keys of a study's search that a search inside of an evaluation reads too."""
STUDY = ("trials", "hours", "target_score", "second_objective", "baseline", "keep_checkpoints")
SEARCHING = ("search", *NESTED, *STUDY)
NETWORK = ("weights", "training", "pretraining", "cache", "precision", "device", "checkpoint_minutes")
"""Keys for networks only."""
NO_NETWORK = "no method trains a network"
ONLY_METHODS = "only methods of the evaluation search"
NOT_READ: dict[Command, dict[str, str]] = {
    "study": {"evaluation": "sslwear study run compares no methods"},
    "train": dict.fromkeys(SEARCHING, "sslwear train searches nothing")
    | {"evaluation": "sslwear train compares no methods"},
    "pretrain": dict.fromkeys((*SEARCHING, "objective"), "sslwear pretrain searches nothing")
    | {"evaluation": "sslwear pretrain compares no methods"},
    "evaluate": dict.fromkeys(SEARCHING, "sslwear evaluate searches nothing")
    | {"seed": "an evaluation has its own seeds (evaluation.seeds)"},
}
"""Keys that a command does not read, with the reason."""


def unused_keys(content: Mapping[str, Any], command: Command | None = None) -> dict[KeyPath, str]:
    """Keys that are given and would do nothing; content that is not valid is passed over.

    A key whose value is null counts as left out.

    Args:
        content: a study file.
        command: the command that reads it; None for what the content is for: an evaluation, if it has one and searches
            nothing, and otherwise any command.

    Returns:
        Keys with the end of the sentence 'it would do nothing, because ...'.
    """
    not_read = {} if command is None else NOT_READ[command]
    read = {key: value for key, value in content.items() if key not in not_read or key in ("sampler", "pruner")}
    found = {path: reason for rule in RULES for path, reason in rule(read)}
    for key in _section(read, "search"):  # which gives values to other keys
        given = tuple(str(key).split("."))
        for reason in [reason for path, reason in found.items() if path == given[: len(path)]]:
            found["search", key] = reason
    searches = command == "evaluate" and _has_search(content)
    for key, reason in not_read.items():
        if not (searches and key in NESTED):
            found[key,] = ONLY_METHODS if searches and key in SEARCHING else reason
    if command not in (None, "study") and not searches:
        found |= {("split", key): "only sslwear study run has folds of its trials" for key in ("folds", "repeats")}
    if command == "pretrain":
        found |= dict(_not_pretraining(read))
    if command == "evaluate":
        found |= dict(_replaced(read))
    return {path: reason for path, reason in found.items() if _value(content, path) is not None}


def _has_search(content: Mapping[str, Any]) -> bool:
    """Whether a method of the evaluation searches."""
    return any("search" in method for method in _own(content).values())


def _value(content: Any, path: KeyPath) -> Any:
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _section(content: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A section without its keys that are null, other spellings replaced."""
    found = _value(content, path)
    if not isinstance(found, Mapping):
        return {}
    old = {} if path[-1] == "methods" else SPELLINGS
    return {old.get(key) or key: value for key, value in found.items() if value is not None}


def _own(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Methods of the evaluation that train a network, with their own keys."""
    return {name: own for name, own in _methods(content).items() if not own.keys() & set(COMBINED)}


def _probes(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Methods of the evaluation that are probes, with their own keys."""
    return {name: own for name, own in _methods(content).items() if "probe" in own}


def _probes_of_the_study(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Probes of the study's encoder, with their own keys."""
    return [own for own in _probes(content).values() if "encoder" not in own]


def _trained(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Methods of the evaluation that train a network, with what they have from `training`."""
    training = _section(content, "training")
    return {name: {**training, **own} for name, own in _own(content).items()}


def _methods(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    path = ("evaluation", "methods")
    return {name: _section(content, *path, name) for name in _section(content, *path)}


def _choices(content: Mapping[str, Any], key: str, default: Any) -> list[Any]:
    """Values that a key of `training` may have in any training."""
    tried = _tried(content, "training", key, default)
    return [*tried, *(value for method in _trained(content).values() for value in _of_method(method, key, default))]


def _of_method(method: Mapping[str, Any], key: str, default: Any) -> list[Any]:
    """Values that a key of `training` may have in a method: its own, and those that it searches."""
    return [method.get(key, default), *_searched(method, f"training.{key}")]


def _searched(content: Mapping[str, Any], name: str) -> list[Any]:
    """Values of a key in a section `search`; a range is one value."""
    values = _section(content, "search").get(SPELLINGS.get(name, name), ())
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _tried(content: Mapping[str, Any], section: str, key: str, default: Any) -> list[Any]:
    """Values that a key of `training` or `pretraining` may have in a training of the section or a trial."""
    name = f"{section}.{key}"
    inside = (value for method in _own(content).values() for value in _searched(method, name))
    return [_section(content, section).get(key, default), *_searched(content, name), *inside]


def _only_evaluated(content: Mapping[str, Any]) -> bool:
    return bool(_section(content, "evaluation")) and not _section(content, "search")


def _augmentation(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    sections: dict[KeyPath, tuple[list[Any], list[Any]]] = {
        ("training",): (_choices(content, "augment", False), _choices(content, "tuning", "all"))
    }
    for name, method in _trained(content).items():
        own = _of_method(method, "augment", False), _of_method(method, "tuning", "all")
        sections["evaluation", "methods", name] = own
    for path, (augment, tuning) in sections.items():
        if not any(augment):
            for key in ("augment_degrees", "augmented_views"):
                yield (*path, key), "windows are not augmented (augment: true)"
            continue
        if not any(_is_rotation_of_true(value) for value in augment):
            yield (*path, "augment_degrees"), "it is for augment: true; rotate has its own number (augment: rotate(20))"
        if all(value == "all" for value in tuning):
            yield (*path, "augmented_views"), "the first block is never frozen (tuning: all)"


def _is_rotation_of_true(augment: Any) -> bool:
    """Whether a value of ``augment`` is `true` in any spelling."""
    try:
        return joined(augment) is True
    except ValueError:  # is refused elsewhere
        return False


def _pretrains(content: Mapping[str, Any]) -> bool:
    """Whether any training or probe has a pretext task."""
    probed = [own.get("pretext", NO_PRETEXT) for own in _probes_of_the_study(content)]
    return any(pretext != NO_PRETEXT for pretext in (*_choices(content, "pretext", NO_PRETEXT), *probed))


def _pretraining(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    settings = _section(content, "pretraining")
    if not _pretrains(content):
        yield ("pretraining",), "there is no pretext task (training.pretext, search.pretext)"
        return
    if "data" in settings:
        return
    everything = "each epoch takes all windows of the training participants (there is no pretraining.data)"
    yield ("pretraining", "windows_per_participant"), everything
    if all(sampling == "uniform" for sampling in _tried(content, "pretraining", "sampling", "motion")):
        yield ("pretraining", "participants_at_a_time"), everything


def _search(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if _section(content, "search"):
        return
    if not _only_evaluated(content):
        yield from (((key,), "nothing is searched (section search)") for key in NESTED)
    elif _has_search(content):
        yield from (((key,), ONLY_METHODS) for key in STUDY)
    else:
        yield from (((key,), "the file has an evaluation and searches nothing") for key in (*NESTED, *STUDY))
        yield ("seed",), "an evaluation has its own seeds (evaluation.seeds)"


def _optimization(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    sections: dict[KeyPath, Callable[[str, Any], list[Any]]] = {
        ("training",): lambda key, default: _choices(content, key, default),
        ("pretraining",): lambda key, default: _tried(content, "pretraining", key, default),
    }
    for name, method in _trained(content).items():
        sections["evaluation", "methods", name] = partial(_of_method, method)
    for path, values in sections.items():
        if all(value == "adam" for value in values("optimizer", "adam")):
            yield (*path, "weight_decay"), "the optimizer is adam (optimizer: adamw)"
        if all(value == "one_cycle" for value in values("schedule", "constant")):
            yield (*path, "warmup_epochs"), "the schedule one_cycle has a rise of its own"


def _sampler(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if _section(content, "sampler").get("name") == "grid":
        yield ("sampler", "startup_trials"), "the sampler is grid, which has all combinations"


def _split(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    split = _section(content, "split")
    if "folds" not in split:
        needed = "it needs split.folds (to keep it, add split.folds)"
        yield ("split", "repeats"), "there are no folds (split.validation)" if "validation" in split else needed
    if "validation" in split:
        yield ("pruner", "p_value"), "there are no folds (split.validation)"
    if _only_evaluated(content) and not _has_search(content):
        why = "an evaluation has its own folds (evaluation.protocol, evaluation.folds)"
        yield from ((("split", key), why) for key in ("folds", "repeats"))


def _pruner(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    name = _section(content, "pruner").get("name", "median")
    uses = {
        "warmup_epochs": ("median", "halving", "hyperband"),
        "startup_trials": ("median",),
        "reduction_factor": ("halving", "hyperband"),
        "p_value": ("median", "halving", "hyperband", "folds"),
    }
    for key, names in uses.items():
        if name not in names:
            yield ("pruner", key), f"the pruner is {name}; the key is for {', '.join(names)}"
    if content.get("second_objective") is not None and not _has_search(content):  # which has one objective
        yield ("pruner",), "no trial ends early with a second_objective"


def _evaluation(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    evaluation = _section(content, "evaluation")
    if not evaluation:
        return
    protocol = evaluation.get("protocol", "k_fold")
    if protocol != "k_fold":
        yield ("evaluation", "folds"), f"the protocol is {protocol}"
    if not _trained(content):
        for key in ("refit", "keep_checkpoints"):
            yield ("evaluation", key), NO_NETWORK
        if _only_evaluated(content):
            yield from _without_training(content)
    if protocol != "hold_out" and _only_evaluated(content):
        why = f"each participant is tested once (evaluation.protocol: {protocol})"
        yield ("split", "test"), why
        if protocol == "leave_one_out":  # k_fold draws its groups with this seed
            yield ("split", "test_seed"), why


def _without_training(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Keys for networks in an evaluation in which none is trained."""
    if _probes_of_the_study(content):
        training = _section(content, "training")
        yield from ((("training", key), NO_NETWORK) for key in training if key != "pretext")
    else:
        used = ("cache", "device") if _probes(content) else ()
        yield from (((key,), NO_NETWORK) for key in NETWORK if key not in used)


def _replaced(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Keys that each method of an evaluation replaces; a file may have them for other commands."""
    own, training = list(_own(content).values()), _value(content, ("training",))
    why = "each method of the evaluation that trains a network has its own"
    paths: list[KeyPath] = [("training", key) for key in training] if isinstance(training, Mapping) else []
    for path in [*paths, ("weights",)]:
        key = SPELLINGS.get(path[-1], path[-1])
        methods = [*own, *(_probes_of_the_study(content) if key in ("weights", "pretext") else ())]
        if methods and all(key in method for method in methods):
            yield path, why


def _not_pretraining(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Keys of fine-tuning, which a pre-training does not read."""
    training = _value(content, ("training",))
    for key in training if isinstance(training, Mapping) else ():
        if key != "pretext":
            yield ("training", key), "sslwear pretrain does not fine-tune"


def _cache(content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if _section(content, "cache").get("disk_gb") == 0:
        yield ("cache", "memory_gb"), "disk_gb is 0, so nothing is kept"
    if (device := content.get("device")) in ("cpu", "mps"):
        yield ("cache", "device_gb"), f"with device: {device}, data is not copied to a graphics card"


RULES = (_augmentation, _optimization, _pretraining, _search, _sampler, _split, _pruner, _evaluation, _cache)
