"""Finds the classes in a plug-in folder by name: a file with a class in it is all that a plug-in needs."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

from sslwear.errors import SettingsError

T = TypeVar("T")


def find(package: str, base: type[T]) -> dict[str, type[T]]:
    """Return the plug-ins of a folder: every class that subclasses `base` and has a `name` of its own.

    Args:
        package: dotted name of the folder, for example ``sslwear.pretext``.
        base: the class that plug-ins of this folder extend.

    Returns:
        Classes by their `name`, sorted by name.

    Raises:
        TypeError: when two classes claim one name, which is a mistake in a plug-in and not a user's.
    """
    found: dict[str, type[T]] = {}
    folder = importlib.import_module(package)
    for info in pkgutil.iter_modules(folder.__path__, prefix=f"{package}."):
        module = importlib.import_module(info.name)
        for thing in vars(module).values():
            own = isinstance(thing, type) and issubclass(thing, base) and thing.__module__ == module.__name__
            if not own or "name" not in vars(thing):
                continue
            name = vars(thing)["name"]
            if found.get(name, thing) is not thing:
                raise TypeError(f"{thing.__module__} and {found[name].__module__} both define {name!r}")
            found[name] = thing
    return dict(sorted(found.items()))


def get(package: str, base: type[T], name: str, key: str, besides: tuple[str, ...] = ()) -> type[T]:
    """Return the plug-in called `name`.

    Args:
        package: dotted name of the folder.
        base: the class that plug-ins of this folder extend.
        name: the one that is asked for.
        key: the study file's key that asks for it, for the message.
        besides: other values that the key may have, for the message.

    Raises:
        SettingsError: when there is none; the message lists the names that there are.
    """
    found = find(package, base)
    if name not in found:
        raise SettingsError(f"{key}: there is no {name!r}; choose one of {', '.join([*besides, *found])}")
    return found[name]
