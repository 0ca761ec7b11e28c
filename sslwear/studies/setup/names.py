"""Plug-ins that a study file names: loading, checks that they exist, and the augmentation."""

from __future__ import annotations

from sslwear.augmentations.base import Augmentations
from sslwear.augmentations.base import parse as parse_augmentations
from sslwear.augmentations.rotation import Rotation
from sslwear.config import NO_PRETEXT, SUPERVISED, SearchSettings, TrainingSettings
from sslwear.encoders.base import Encoder
from sslwear.errors import SettingsError
from sslwear.evaluation.baselines.base import get as get_baseline
from sslwear.evaluation.baselines.base import missing
from sslwear.pretext.base import get as get_pretext
from sslwear.tuning.base import parse as parse_tuning


def check_names(training: TrainingSettings, search: SearchSettings, encoder: type[Encoder]) -> None:
    """Check that all tuning strategies, augmentations and pretext tasks exist and that no choice is given twice.

    Raises:
        SettingsError: naming the key and the choices.
    """
    parse_tuning(training.tuning, encoder, "training.tuning")
    check_augmentation(training.augment, "training.augment")
    check_pretext_name(training.pretext, "training.pretext")
    check_search_names(search, encoder, "search")


def check_search_names(search: SearchSettings, encoder: type[Encoder], key: str) -> None:
    """Check the names of a search space, see `check_names`.

    Raises:
        SettingsError: naming the key and the choices.
    """
    tried = search.choices("tuning")
    choices = [parse_tuning(text, encoder, f"{key}.tuning").spec for text in tried]
    for text, canonical in zip(tried, choices, strict=True):
        if choices.count(canonical) > 1:
            raise SettingsError(f"{key}.tuning: {text!r} is given twice, in two spellings. Leave one out")
    known: list[Augmentations] = []
    for choice in search.choices("augment"):
        found = check_augmentation(choice, f"{key}.augment")
        if found in known:
            raise SettingsError(f"{key}.augment: {choice!r} is given twice, in two spellings. Leave one out")
        known += [found] if found is not None else []
    for name in search.choices("pretext"):
        check_pretext_name(name, f"{key}.pretext")


def check_baseline(name: str, key: str) -> None:
    """Check that a baseline exists, and that the packages that it needs are installed.

    Raises:
        SettingsError: naming the key, and the choices or how to install the package.
    """
    if (package := missing(get_baseline(name, key))) is not None:
        raise SettingsError(f"{key}: the baseline {name} needs {package}")


def check_augmentation(augment: bool | str, key: str) -> Augmentations | None:
    """Check that augmentations exist and take their numbers; returns those of a text.

    Raises:
        SettingsError: naming the key and the choices.
    """
    return parse_augmentations(augment, key) if isinstance(augment, str) else None


def check_pretext_name(name: str, key: str) -> None:
    """Check that a pretext task exists.

    Raises:
        SettingsError: naming the key and the choices.
    """
    if name not in (NO_PRETEXT, SUPERVISED):
        get_pretext(name, key, besides=(NO_PRETEXT, SUPERVISED))


def augmentation_of(training: TrainingSettings) -> Augmentations | None:
    """The augmentation of a training, or several in their order; None where windows are used as recorded.

    Raises:
        SettingsError: when there is none with this name.
    """
    if isinstance(training.augment, str):
        return parse_augmentations(training.augment, "training.augment")
    return Rotation(training.augment_degrees) if training.augment else None
