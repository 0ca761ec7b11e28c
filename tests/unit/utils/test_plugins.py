"""Plug-ins are found by name in folders, in installed packages and in files."""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sslwear.errors import SettingsError
from sslwear.utils import plugins, processes
from sslwear.utils.plugins import find, get, identity, load_file

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

    monkeypatch.setattr(plugins, "_files", {})
    monkeypatch.setattr(plugins, "_distributions", {})
    yield make
    for name in [name for name in sys.modules if name.split(".")[0] in (package, "installed_of_a_test")]:
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


def test_two_classes_with_one_name_are_an_error_that_names_both(folder: Folder) -> None:
    package, base = folder(one=plugin("same"), two=plugin("same"))
    with pytest.raises(SettingsError, match=rf"{package}\.one and {package}\.two both define 'same'"):
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


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., None]:
    """Makes an installed package with one module, and its entry points by name."""

    def make(text: str, package: str, version: str = "1.2", **points: str) -> None:
        (tmp_path / "installed_of_a_test.py").write_text(text.replace("{package}", package))
        info = tmp_path / "installed_of_a_test-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: installed-of-a-test\nVersion: {version}\n")
        lines = [f"{name} = installed_of_a_test:{value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{package}]", *lines]))
        plugins._entry_points.cache_clear()
        importlib.invalidate_caches()

    return make


def test_plugins_of_installed_packages_are_found(folder: Folder, install: Callable[..., None]) -> None:
    package, base = folder(one=plugin("one"))
    install(plugin("bee") + plugin("wasp", "Wasp"), package, bee="Plugin", wasp="Wasp")
    found = find(package, base)
    assert list(found) == ["bee", "one", "wasp"]
    assert [identity(found[name]) for name in found] == ["installed-of-a-test==1.2", "", "installed-of-a-test==1.2"]
    assert identity(int) == ""


def test_installed_packages_that_share_a_name_space_are_told_apart(folder: Folder, tmp_path: Path) -> None:
    package, base = folder()
    space = tmp_path / "installed_of_a_test"
    space.mkdir()
    for name in ("one", "two"):
        (space / f"{name}.py").write_text(plugin(name).replace("{package}", package))
        info = tmp_path / f"lab_{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lab-{name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{package}]\n{name} = installed_of_a_test.{name}:Plugin\n")
    plugins._entry_points.cache_clear()
    importlib.invalidate_caches()
    assert {name: identity(one) for name, one in find(package, base).items()} == {
        "one": "lab-one==1",
        "two": "lab-two==1",
    }


@pytest.mark.parametrize(
    ("text", "point", "message"),
    [
        (plugin("one"), "Plugin", r"plugins_of_a_test\.one and installed_of_a_test \(installed-of-a-test==1\.2\) both"),
        ("import nothing_of_a_test", "Plugin", "the plug-in 'x' of installed-of-a-test==1.2 cannot be imported"),
        ("x = 1", "Plugin", "'x' of installed-of-a-test==1.2 cannot be imported"),
        ("Plugin = 1", "Plugin", "'x' of installed-of-a-test==1.2 in plugins_of_a_test is not a Base with a name"),
        (plugin("a").replace("name", "title"), "Plugin", "is not a Base with a name"),
    ],
)
def test_an_installed_plugin_that_cannot_be_used_is_an_error_that_names_the_package(
    folder: Folder, install: Callable[..., None], text: str, point: str, message: str
) -> None:
    package, base = folder(one=plugin("one"))
    install(text, package, x=point)
    with pytest.raises(SettingsError, match=message):
        find(package, base)


def test_plugins_of_a_file_are_found_and_known_by_its_content(folder: Folder, tmp_path: Path) -> None:
    package, base = folder(one=plugin("one"))
    file = tmp_path / "mine.py"
    file.write_text(plugin("mine").replace("{package}", package))
    load_file(file)
    first = find(package, base)["mine"]
    load_file(file)
    assert find(package, base)["mine"] is first
    assert identity(first) == hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text(file.read_text().replace("'mine'", "'changed'"))
    assert identity(first) == hashlib.sha256(file.read_bytes().replace(b"'changed'", b"'mine'")).hexdigest()
    load_file(str(file))
    assert list(find(package, base)) == ["changed", "one"]
    assert plugins.loaded_files() == (str(file),)


def test_a_file_that_has_a_known_name_is_an_error_that_names_both(folder: Folder, tmp_path: Path) -> None:
    package, base = folder(one=plugin("one"))
    (tmp_path / "mine.py").write_text(plugin("one").replace("{package}", package))
    load_file(tmp_path / "mine.py")
    with pytest.raises(SettingsError, match=rf"{package}\.one and {tmp_path}/mine\.py both define 'one'"):
        find(package, base)


@pytest.mark.parametrize("again", ["folder/../mine.py", "link/mine.py", "copy.py"])
def test_a_file_by_another_path_and_a_copy_of_it_take_its_place(folder: Folder, tmp_path: Path, again: str) -> None:
    package, base = folder(one=plugin("one"))
    file, text = tmp_path / "mine.py", plugin("mine").replace("{package}", package)
    file.write_text(text)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "copy.py").write_text(text)
    load_file(file)
    load_file(tmp_path / again)
    assert list(find(package, base)) == ["mine", "one"]
    assert plugins.loaded_files() == (str(file if ".." in again else tmp_path / again),)
    load_file(file)
    assert find(package, base)["mine"].__module__ == plugins._module_name(file)
    assert plugins.loaded_files() == (str(file),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("a = 1\nb = a +\n", r"cannot be loaded \(SyntaxError: .*\) in line 2\. Correct the file"),
        ("a = 1\n\nimport nothing_of_a_test\n", r"cannot be loaded \(ModuleNotFoundError: .*\) in line 3"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_an_error_that_names_it(
    folder: Folder, tmp_path: Path, text: str | None, message: str
) -> None:
    folder()
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(SettingsError, match=rf"plugins: {tmp_path}/mine\.py {message}"):
        load_file(tmp_path / "mine.py")
    assert plugins.loaded_files() == ()


def test_a_file_of_another_kind_is_refused(folder: Folder, tmp_path: Path) -> None:
    folder()
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SettingsError, match=r"mine\.txt is not a Python file"):
        load_file(tmp_path / "mine.txt")


def test_worker_processes_have_the_plugins_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_files", {})
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    name = 'mine'\n\n    def double(self, number):\n        return 2 * number\n")
    load_file(file)
    mine = plugins._files[next(iter(plugins._files))].module.Mine()
    assert list(processes.run(mine.double, [(2,)], 1, mine.double, (1,))) == [4]


def test_a_class_of_a_file_may_be_used_without_being_found(folder: Folder, tmp_path: Path) -> None:
    package, base = folder(one=plugin("one"))
    file = tmp_path / "mine.py"
    file.write_text(plugin("one").replace("{package}", package))
    mine = plugins.get_from_file(file, base, "one")
    assert find(package, base)["one"] is not mine
    assert identity(mine) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert plugins.source(mine) == file.read_bytes()
    assert plugins.loaded_files() == ()
    with pytest.raises(SettingsError, match="defines no Base with the name 'two'"):
        plugins.get_from_file(file, base, "two")
    (tmp_path / "plugins_of_a_test" / "one.py").write_text("")
    sys.modules.pop(f"{package}.one")
    load_file(file)
    assert find(package, base) == {"one": mine}
