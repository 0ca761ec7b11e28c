"""Plug-ins are the classes with a name of their own in the files of a folder."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sslwear.errors import SettingsError
from sslwear.utils.plugins import find, get

BASE = "class Base:\n    pass\n"
PLUGIN = "from {package}.base import Base\n\n\nclass {kind}(Base):\n    name = {name!r}\n"

Folder = Callable[..., tuple[str, type[Any]]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Makes a plug-in folder of some files; gives its dotted name and the base class."""
    package = "plugins_of_a_test"
    monkeypatch.syspath_prepend(tmp_path)

    def make(**files: str) -> tuple[str, type[Any]]:
        (tmp_path / package).mkdir()
        for name, text in {"__init__": "", "base": BASE, **files}.items():
            (tmp_path / package / f"{name}.py").write_text(text.replace("{package}", package))
        importlib.invalidate_caches()
        return package, importlib.import_module(f"{package}.base").Base

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def plugin(name: str, kind: str = "Plugin") -> str:
    return PLUGIN.replace("{kind}", kind).replace("{name!r}", repr(name))


def test_a_file_with_a_class_is_a_plugin(folder: Folder) -> None:
    package, base = folder(zebra=plugin("horse"), ant=plugin("ant"), bee=plugin("wasp") + plugin("bee", "Other"))
    found = find(package, base)
    assert list(found) == ["ant", "bee", "horse", "wasp"]
    assert found["horse"] is importlib.import_module(f"{package}.zebra").Plugin


def test_a_folder_without_plugins_has_none(folder: Folder) -> None:
    assert find(*folder()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "from {package}.base import Base\n\n\nclass Shared(Base):\n    pass\n",
        "class Stranger:\n    name = 'stranger'\n",
        "from {package}.base import Base\n\n\nthing = Base()\nthing.name = 'instance'\n",
        "from {package}.one import Plugin\n",
        "from {package}.one import Plugin\n\n\nclass Heir(Plugin):\n    pass\n",
    ],
    ids=["nameless", "not of the base", "instance", "imported", "name inherited"],
)
def test_other_things_in_a_file_are_no_plugins(folder: Folder, text: str) -> None:
    package, base = folder(one=plugin("one"), other=text)
    assert list(find(package, base)) == ["one"]


def test_two_classes_with_one_name_are_a_mistake_that_names_both(folder: Folder) -> None:
    package, base = folder(one=plugin("same"), two=plugin("same"))
    with pytest.raises(TypeError, match=rf"{package}\.two and {package}\.one both define 'same'"):
        find(package, base)


def test_class_may_have_an_alias(folder: Folder) -> None:
    package, base = folder(one=plugin("one") + "\n\nFormerly = Plugin\n")
    assert list(find(package, base)) == ["one"]


def test_get_gives_the_class_that_is_asked_for(folder: Folder) -> None:
    package, base = folder(one=plugin("one"), two=plugin("two"))
    assert get(package, base, "two", "key") is find(package, base)["two"]


@pytest.mark.parametrize(
    ("besides", "choices"), [((), "one, two"), (("none",), "none, one, two"), (("z", "a"), "z, a, one, two")]
)
def test_failed_look_up_names_the_key_and_lists_the_names(
    folder: Folder, besides: tuple[str, ...], choices: str
) -> None:
    package, base = folder(two=plugin("two"), one=plugin("one"))
    with pytest.raises(SettingsError) as caught:
        get(package, base, "three", "training.pretext", besides)
    assert str(caught.value) == f"training.pretext: there is no 'three'; choose one of {choices}"


def test_a_mistake_inside_a_plugin_is_not_hidden(folder: Folder) -> None:
    package, base = folder(one=plugin("one"), broken="import a_package_that_is_not_there\n")
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        find(package, base)
