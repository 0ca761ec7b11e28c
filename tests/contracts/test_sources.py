"""Sources of recordings of the package fulfil the contract."""

import importlib

import pytest

from sslwear.data.sources.base import Source, find, get
from sslwear.testing.sources import SourceContract

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
