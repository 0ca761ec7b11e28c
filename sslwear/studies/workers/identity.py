"""What a study is: settings, data, participants, weights and versions that its trials and workers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import optuna

from sslwear.config import Settings, with_effect
from sslwear.errors import StudyError
from sslwear.studies.database import trials
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.keys import (
    EVALUATION_VERSION,
    PRETRAINING_VERSION,
    digest,
    key_of,
    searched_plugins,
    training_plugins,
)
from sslwear.training.cache import FEATURES_VERSION

FREE_KEYS = (
    *("trials", "hours", "target_score", "select", "baseline", "keep_checkpoints"),
    *("device", "threads", "checkpoint_minutes", "cache", "evaluation"),
)
"""Settings that may differ when a study is resumed, because they do not change the result of a trial."""
RESULTS_VERSIONS = {"features": FEATURES_VERSION, "pre-training": PRETRAINING_VERSION, "training": EVALUATION_VERSION}
"""Versions of the arithmetic of each stage; all trials of a study have the same."""


def identity_of(context: StudyContext) -> dict[str, Any]:
    """What a study is, as attributes that it keeps from its start."""
    return {
        "settings": context.settings.to_yaml(),
        "fingerprint": context.dataset.fingerprint,
        "classes": key_of({"names": context.dataset.class_names}),
        "weights": digest(context.initial),
        "split": key_of({"test": context.split.test, "folds": [vars(fold) for fold in context.folds]}),
        "window": str(context.encoder.window_samples),
        "versions": RESULTS_VERSIONS,
        "plugins": _plugins(context),
    }


def _plugins(context: StudyContext) -> dict[str, dict[str, str]]:
    """Versions or contents of the plug-ins of a study, by the setting that names them."""
    settings = context.settings
    own = training_plugins(context, settings.training)
    return {**({"training": own} if own else {}), **searched_plugins(context, settings.training, settings.search)}


def check_same(study: optuna.Study, now: Mapping[str, Any], settings: Settings) -> None:
    """Check that a study was started with the same settings, data, participants, weights and versions.

    Raises:
        StudyError: naming the difference.
    """
    before = study.user_attrs
    kept = trials.kept_settings(study)
    new_name = f"choose a new name with --set study={settings.study}-2"
    moved = {"data"} if before.get("fingerprint") == now["fingerprint"] else set()  # the same data in another folder
    old, new = (with_effect(one, "study").model_dump(exclude={*FREE_KEYS, *moved}) for one in (kept, settings))
    given = set(_differences(kept.model_dump(), settings.model_dump()))
    for key in _differences(old, new):
        if key in given:  # and not only without effect in one of them
            raise StudyError(
                f"the study {settings.study!r} was started with another {key}. Restore the old value, or {new_name}"
            )
    for name, what in (
        ("fingerprint", "other data"),
        ("classes", "other names of the classes, or another order of them"),
        ("weights", "other initial weights"),
        ("window", "windows of another length in samples"),
        ("split", "other participants in its folds or its test"),
    ):
        if (old := before.get(name, now[name])) != now[name]:
            which = f"{name} {old[:8]}, and now {now[name][:8]}"
            raise StudyError(
                f"the study {settings.study!r} was started with {what} ({which}). Restore them, or {new_name}"
            )
    if before.get("plugins", now["plugins"]) != now["plugins"]:
        raise StudyError(
            f"the study {settings.study!r} was started with another version of a plug-in. Restore it, or {new_name}"
        )
    for stage, version in before.get("versions", {}).items():
        if version != RESULTS_VERSIONS.get(stage, version):
            raise StudyError(
                f"the study {settings.study!r} was started with another version of sslwear, whose results of {stage} "
                f"have the version {version}, and here {RESULTS_VERSIONS[stage]}. Use that version, or {new_name}"
            )


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Keys at which two nested mappings differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in new:
            yield from _differences(old.get(name), new[name], f"{key}.{name}" if key else name)
    elif old != new:
        yield f"{key} ({old!r}, and now {new!r})"
