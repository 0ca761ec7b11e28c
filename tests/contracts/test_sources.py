"""Sources of recordings of the package fulfil the contract."""

import importlib
import shutil
from pathlib import Path

import pytest

from sslwear.data.sources.base import Source, find, get
from sslwear.testing.sources import SourceContract, all_recordings, same

SOURCES = find()

for _name, _source in SOURCES.items():
    _parts: dict[str, object] = {"source": _source}
    if not _source.embedded:
        _parts["write"] = staticmethod(importlib.import_module(f"tests.samples.{_name}").write)
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (SourceContract,), _parts)


def test_there_are_sources() -> None:
    assert {"smartwatch", "adl"} <= SOURCES.keys()


@pytest.mark.parametrize(("name", "source"), SOURCES.items(), ids=SOURCES)
def test_it_is_found_by_its_name(name: str, source: type[Source]) -> None:
    assert source.name == name
    assert get(name) is source


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if not source.embedded])
def test_files_that_lie_in_two_folders_count_once(name: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    importlib.import_module(f"tests.samples.{name}").write(raw)
    before = all_recordings(SOURCES[name](raw))
    shutil.copytree(raw, tmp_path / "copy")
    (tmp_path / "copy").rename(raw / "copy")
    after = all_recordings(SOURCES[name](raw))
    assert len(after) == len(before) > 0
    assert same(before, after)
