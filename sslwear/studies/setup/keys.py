"""Keys of stored results: the same content gives the same key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sslwear.augmentations.base import Augmentations, in_turn
from sslwear.config import NO_PRETEXT, SUPERVISED, SearchSettings, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.pretext.base import get as get_pretext
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.names import augmentation_of
from sslwear.tuning.base import TuningStrategy
from sslwear.utils import plugins

EVALUATION_VERSION = 6
"""Raise it when the arithmetic of an evaluation changes: jobs that finished under another version are run again."""
PRETRAINING_VERSION = 6
"""Raise it when the arithmetic of pre-training changes: encoders of another version are pre-trained again."""


def plugin_identities(
    encoder: type[Encoder],
    pretext: str,
    tuning: type[TuningStrategy] | None = None,
    augmentation: Augmentations | None = None,
) -> dict[str, str]:
    """Versions or contents of the plug-ins of a training that are not part of this package, for keys of results."""
    kinds: dict[str, type[Any] | None] = {"encoder": encoder, "tuning": tuning}
    kinds["pretext"] = None if pretext in (NO_PRETEXT, SUPERVISED) else get_pretext(pretext)
    found = {kind: plugins.identity(plugin) for kind, plugin in kinds.items() if plugin is not None}
    if augmentation is not None:
        codes = (plugins.identity(type(one)) for one in in_turn(augmentation))
        found["augmentation"] = "+".join(code for code in codes if code)
    return {kind: code for kind, code in found.items() if code}


def training_plugins(context: StudyContext, training: TrainingSettings) -> dict[str, str]:
    """`plugin_identities` of a training."""
    tuning, augmentation = type(context.tuning(training)), augmentation_of(training)
    return plugin_identities(context.encoder, training.pretext, tuning, augmentation)


def searched_plugins(
    context: StudyContext, training: TrainingSettings, search: SearchSettings
) -> dict[str, dict[str, str]]:
    """`training_plugins` of each choice of a search that has some, by key and choice."""
    changed = {f"{key} {one}": {key: one} for key in ("tuning", "pretext", "augment") for one in search.choices(key)}
    found = {name: training_plugins(context, training.model_copy(update=one)) for name, one in changed.items()}
    return {name: identities for name, identities in found.items() if identities}


def adapted_length(encoder: type[Encoder]) -> dict[str, int]:
    """Window length in samples, for keys of results of an encoder that was made for the windows of a data set.

    The length comes from the data set's description, which is no part of the fingerprint of its data.
    """
    return {"window_samples": encoder.window_samples} if encoder.adapted else {}


def digest(state: Mapping[str, Tensor] | None) -> str:
    """SHA-256 of weights, or ``random`` for None."""
    if state is None:
        return "random"
    content = hashlib.sha256()
    for name in sorted(state):
        content.update(name.encode())
        content.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


def key_of(content: Mapping[str, Any]) -> str:
    """Key of a set of values: the same values give the same key."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:32]
