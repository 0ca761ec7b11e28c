"""Plug-ins: classes found by name in a folder of this package, in installed packages, and in single files.

Installed packages name their classes in entry points, in one group for each folder, such as ``sslwear.pretext``.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sslwear.errors import SettingsError
from sslwear.utils.paths import user_path

T = TypeVar("T")
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class _File:
    """A file that was loaded, with its content as it was then."""

    path: Path
    module: ModuleType
    content: bytes
    public: bool
    """Whether its classes are found by name."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


_files: dict[str, _File] = {}
"""Files that were loaded, by the name of their module."""


def find(package: str, base: type[T]) -> dict[str, type[T]]:
    """Return the plug-ins of a kind: every class that subclasses `base` and sets `name` itself.

    Args:
        package: dotted name of the folder, for example ``sslwear.pretext``; also the group of entry points.
        base: the class that plug-ins of this kind extend.

    Returns:
        Classes by their `name`, sorted by name.

    Raises:
        SettingsError: when two classes have the same name, or an installed package cannot be imported.
    """
    found: dict[str, type[T]] = {}
    for plugin in (*_in_folder(package, base), *_installed(package, base), *_in_files(base)):
        name = vars(plugin)["name"]
        if found.get(name, plugin) is not plugin:
            raise SettingsError(f"{_place(found[name])} and {_place(plugin)} both define {name!r}. Rename one of them")
        found[name] = plugin
    return dict(sorted(found.items()))


def get(package: str, base: type[T], name: str, key: str, besides: tuple[str, ...] = ()) -> type[T]:
    """Return the plug-in called `name`.

    Args:
        package: dotted name of the folder.
        base: the class that plug-ins of this kind extend.
        name: name of the plug-in.
        key: key of the study file that names it, for the message.
        besides: other values that the key may have, for the message.

    Raises:
        SettingsError: when there is none; the message lists the names that there are.
    """
    found = find(package, base)
    if name not in found:
        raise SettingsError(f"{key}: there is no {name!r}; choose one of {', '.join([*besides, *found])}")
    return found[name]


def load_file(path: Path | str) -> None:
    """Load a Python file, whose plug-ins are found from then on; a file that changed is loaded again.

    The same file by another path, or a copy of it, takes the place of the one before.

    Args:
        path: a file with classes of any kinds.

    Raises:
        SettingsError: when it is no Python file, or cannot be imported.
    """
    loaded = _load(_absolute(path), public=True)
    for name, other in _files.items():
        if other is not loaded and _is_same(other, loaded):
            _files[name] = replace(other, public=False)


def load_files(paths: Iterable[Path | str]) -> None:
    """Load several Python files, see `load_file`."""
    for path in paths:
        load_file(path)


def get_from_file(path: Path, base: type[T], name: str) -> type[T]:
    """Return a class of a file, which is not found in other ways, such as the encoder that a model includes.

    Args:
        path: a Python file.
        base: the class that plug-ins of this kind extend.
        name: name of the plug-in.

    Raises:
        SettingsError: when the file cannot be loaded, or has no such class.
    """
    for plugin in _classes(_load(path.absolute(), public=False).module, base):
        if vars(plugin)["name"] == name:
            return plugin
    raise SettingsError(f"{path} defines no {base.__name__} with the name {name!r}")


def _load(file: Path, public: bool) -> _File:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"plugins: {file} cannot be read ({error.strerror}). Give the path of a Python file"
        ) from error
    name = _module_name(file)
    if name in _files and _files[name].content == content:
        if public and not _files[name].public:
            _files[name] = replace(_files[name], public=True)
        return _files[name]
    spec = util.spec_from_file_location(name, file)
    if spec is None:
        raise SettingsError(f"plugins: {file} is not a Python file. Give a file that ends in .py")
    module = util.module_from_spec(spec)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses and pickle look for it there
    try:
        exec(compile(content, file, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the user asks for it
    except Exception as error:
        del sys.modules[name]
        _files.pop(name, None)
        raise SettingsError(
            f"plugins: {file} cannot be loaded ({type(error).__name__}: {error}){_line(error, file)}. Correct the file"
        ) from error
    _files[name] = _File(file, module, content, public)
    return _files[name]


def _absolute(path: Path | str) -> Path:
    """Absolute path without ``..``, as in settings; links are kept."""
    return Path(os.path.abspath(user_path(path)))  # noqa: PTH100 - keeps links


def _is_same(one: _File, other: _File) -> bool:
    """Whether two files are one, or have the same content."""
    with suppress(OSError):  # one may have been deleted
        if one.path.samefile(other.path):
            return True
    return one.content == other.content


def _module_name(file: Path) -> str:
    return f"{PACKAGE}_plugin_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"


def loaded_files() -> tuple[str, ...]:
    """Paths of the files that were loaded, for worker processes."""
    return tuple(str(file.path) for file in _files.values() if file.public)


def content(path: Path | str) -> bytes:
    """Content of a file of plug-ins as it was when it was loaded; it is loaded if it was not.

    Raises:
        SettingsError: when it cannot be loaded.
    """
    file = _absolute(path)
    known = _files.get(_module_name(file))
    return (known if known is not None else _load(file, public=True)).content


def source(plugin: type[Any]) -> bytes | None:
    """Content of the file that a plug-in was loaded from; None for plug-ins of packages."""
    file = _files.get(plugin.__module__)
    return None if file is None else file.content


def distribution(plugin: type[Any]) -> str | None:
    """``NAME==VERSION`` of the installed package that a plug-in is from; None for others."""
    known = (_distributions[place] for place in _with_parents(plugin.__module__) if place in _distributions)
    return next(known, None)


def identity(plugin: type[Any]) -> str:
    """Text that changes with the code of a plug-in, for keys of results.

    It is empty for classes of this package, which has versions for its stages; ``NAME==VERSION`` for plug-ins of
    installed packages; and the SHA-256 of the file for plug-ins in files. Modules that a file imports do not count.
    """
    file = _files.get(plugin.__module__)
    return file.sha256 if file is not None else distribution(plugin) or ""


_distributions: dict[str, str] = {}
"""Installed packages with plug-ins, by the names of their modules and of what these are in, which they may share."""


def _with_parents(module: str) -> list[str]:
    """Names of a module and of the packages that it is in, the innermost first."""
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _in_folder(package: str, base: type[T]) -> Iterator[type[T]]:
    folder = importlib.import_module(package)
    for info in pkgutil.iter_modules(folder.__path__, prefix=f"{package}."):
        yield from _classes(importlib.import_module(info.name), base)


def _installed(package: str, base: type[T]) -> Iterator[type[T]]:
    for point in _entry_points(package, tuple(sys.path)):
        where = f"{point.dist.name}=={point.dist.version}" if point.dist is not None else point.value
        try:
            plugin = point.load()
        except Exception as error:
            raise SettingsError(
                f"the plug-in {point.name!r} of {where} cannot be imported ({type(error).__name__}: {error}). Update "
                "or uninstall that package"
            ) from error
        if not (isinstance(plugin, type) and issubclass(plugin, base) and "name" in vars(plugin)):
            raise SettingsError(
                f"the entry point {point.name!r} of {where} in {package} is not a {base.__name__} with a name. Update "
                "or uninstall that package"
            )
        _distributions.update(dict.fromkeys(_with_parents(plugin.__module__), where))
        yield plugin


@lru_cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[metadata.EntryPoint, ...]:
    """Entry points of a group, of packages that are installed in the folders of `path`."""
    found = (point for package in metadata.distributions(path=list(path)) for point in package.entry_points)
    return tuple(dict.fromkeys(point for point in found if point.group == group))


def _in_files(base: type[T]) -> Iterator[type[T]]:
    for file in _files.values():
        if file.public:
            yield from _classes(file.module, base)


def _classes(module: ModuleType, base: type[T]) -> Iterator[type[T]]:
    """Classes of a kind that a module defines, and does not only import."""
    for thing in vars(module).values():
        own = isinstance(thing, type) and issubclass(thing, base) and thing.__module__ == module.__name__
        if own and "name" in vars(thing):
            yield thing


def _place(plugin: type[Any]) -> str:
    """Where a plug-in is from, for messages."""
    file = _files.get(plugin.__module__)
    if file is not None:
        return str(file.path)
    where = distribution(plugin)
    return f"{plugin.__module__} ({where})" if where is not None else plugin.__module__


def _line(error: Exception, file: Path) -> str:
    """The line of a file in which an exception came up, for a message."""
    if isinstance(error, SyntaxError):
        return f" in line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f" in line {lines[-1]}" if lines else ""
