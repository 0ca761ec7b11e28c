"""Base class of augmentations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from sslwear.config.augment import augmentation_texts
from sslwear.errors import SettingsError
from sslwear.utils import plugins
from sslwear.utils.arguments import argument

PACKAGE = "sslwear.augmentations"


@dataclass(frozen=True)
class Augmentation(ABC):
    """Random change of training windows that keeps their labels.

    All random numbers of an epoch are drawn at once and applied batch by batch. An epoch can therefore be computed
    again in any order, and cached outputs of frozen blocks stay valid. The text of an augmentation in a study file is
    its name, which creates the class without arguments, or with a `form` also its name and a number in brackets.
    """

    name: ClassVar[str]
    form: ClassVar[str] = ""
    """Form with a number in a study file, such as ``scale(SHARE)``; empty for a class that takes no number."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Examples of texts in a study file, one of each form; empty for the name alone."""
    on_device: ClassVar[bool] = False
    """Whether `apply` computes on the windows' device only, and does not wait for it. It can then be a part of training
    steps that are recorded on a graphics card."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Augmentation for a text of a study file; None if the text has another form.

        Raises:
            SettingsError: when the text has this form but a number that is not allowed.
        """
        if text == cls.name:
            return cls()
        number = argument(text, cls.name, None, cls.form) if cls.form else None
        if number is None:
            return None
        create: Callable[[float], Self] = cls  # a class with a form takes the number
        return create(number)

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the random parameters of windows.

        Args:
            count: number of windows.
            generator: CPU generator; the only source of random numbers.

        Returns:
            Parameters (count, ...) on the CPU, in an order of windows that the caller keeps. They are few for each
            window, because those of all windows are in memory during an epoch.
        """

    @abstractmethod
    def apply(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Change windows by their parameters; nothing is random here, and windows do not depend on each other.

        Args:
            x: windows (B, 3, samples) in g, which stay as they are.
            drawn: parameters of these windows (B, ...), on the device of the windows.

        Returns:
            Windows (B, 3, samples) in g.
        """


Augmentations = Augmentation | tuple[Augmentation, ...]
"""An augmentation, or several that are applied in this order."""


def find() -> dict[str, type[Augmentation]]:
    """All augmentations by name."""
    return plugins.find(PACKAGE, Augmentation)


def parse(text: str, key: str = "augment") -> Augmentations:
    """Augmentations for a text of a study file, such as ``rotate(20)+scale(0.1)``.

    Args:
        text: names, each with a number in brackets or without, joined by ``+``.
        key: key of the study file, for the message.

    Raises:
        SettingsError: when there is no such augmentation, or a number is not allowed; the message lists the forms.
    """
    found = tuple(_parse_one(one, key) for one in augmentation_texts(text))
    return found if len(found) > 1 else found[0]


def _parse_one(text: str, key: str) -> Augmentation:
    known = find()
    for augmentation in known.values():
        try:
            parsed: Augmentation | None = augmentation.parse(text)
        except SettingsError as error:
            raise SettingsError(f"{key}: {error}") from error
        if parsed is not None:
            return parsed
    forms = ", ".join(form for augmentation in known.values() for form in forms_of(augmentation))
    raise SettingsError(f"{key}: there is no {text!r}; choose one of true, false, {forms}, or a list of them")


def forms_of(augmentation: type[Augmentation]) -> tuple[str, ...]:
    """Forms of an augmentation in a study file; the name is left out where the form has it with its number."""
    name, form = augmentation.name, augmentation.form
    if form.startswith(f"{name}("):
        return (form,)
    return (name, form) if form else (name,)


def in_turn(augmentations: Augmentations) -> tuple[Augmentation, ...]:
    """The single augmentations, in the order in which they are applied."""
    return augmentations if isinstance(augmentations, tuple) else (augmentations,)


def check_number(form: str, number: float, most: float) -> None:
    """Check the number of an augmentation.

    Args:
        form: form in a study file, for the message.
        number: the number.
        most: largest number that is allowed.

    Raises:
        SettingsError: when it is not above 0, or too large.
    """
    if not 0 < number <= most:
        raise SettingsError(f"in {form}, the number must be above 0 and at most {most:g}, but is {number:g}")
