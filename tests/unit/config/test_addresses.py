"""Addresses of stores in a study file: flags, then the environment, then the file; nothing keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslwear.cli.workers import open_store
from sslwear.config import Settings, load, parse, with_effect
from sslwear.config.loading import from_python
from sslwear.errors import StudyError
from sslwear.tracking import STORAGE_VARIABLE, Store
from sslwear.tracking.client import TRACKING_VARIABLE

CONTENT = {"study": "a", "data": "b", "search": {"tuning": ["all", "head"]}}
FILE = {"storage": "postgresql://lab:s3cret@host/optuna", "tracking": "http://lab:s3cret@host:5000"}


def settings(**changes: object) -> Settings:
    """Settings of a file with addresses."""
    return parse({**CONTENT, **FILE, **changes}, "the test")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in (STORAGE_VARIABLE, TRACKING_VARIABLE):
        monkeypatch.setenv(variable, "")  # undone at the end, also where an option sets it


def test_flags_come_before_the_environment_and_that_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    of_file = open_store(None, None, settings())
    assert (of_file.storage_url, of_file.tracking_uri) == (FILE["storage"], FILE["tracking"])
    monkeypatch.setenv(STORAGE_VARIABLE, "postgresql://host/environment")
    assert open_store(None, None, settings()).storage_url == "postgresql://host/environment"
    assert open_store("postgresql://host/flag", None, settings()).storage_url == "postgresql://host/flag"
    assert open_store(None, "http://flag:1", settings()).tracking_uri == "http://flag:1"


def test_without_addresses_the_embedded_store_is_used() -> None:
    assert Store.from_environment(settings=parse(CONTENT, "the test")).embedded


def test_nothing_keeps_the_addresses_of_a_file() -> None:
    found = settings()
    assert "s3cret" not in found.to_yaml() + str(found.model_dump())
    assert parse(found.model_dump(), "the copy").storage is None


def test_changes_leave_the_addresses_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("study: a\ndata: b\nsearch: {tuning: [all, head]}\nstorage: postgresql://host/a\n")
    for found in (
        load(path, ["trials=3"], "study"),
        from_python(load(path), {"trials": 3}, "study"),
        with_effect(load(path), "study"),
    ):
        assert found.storage == "postgresql://host/a"


@pytest.mark.parametrize(("key", "address"), [("storage", "redis://a:s3cret@h/0"), ("tracking", "s3cret")])
def test_an_address_without_meaning_is_named_and_masked(key: str, address: str) -> None:
    with pytest.raises(StudyError, match=f"{key} of the study file") as caught:
        Store.from_environment(settings=settings(**{key: address}))
    assert key == "tracking" or "s3cret" not in str(caught.value)
