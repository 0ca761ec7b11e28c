"""What every source of recordings keeps to; a new one is tested as soon as its file is there."""

import importlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.sources.base import Options, Recording, Source, find
from sslwear.data.sources.raw import Raw
from sslwear.errors import DataError

GRAVITY_G = (0.5, 2.0)
SOURCES = find()


@pytest.fixture(scope="module", params=list(SOURCES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def raw(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Small files in the published format, which tests/samples/NAME.py writes."""
    if SOURCES[name].embedded:
        return None
    folder = tmp_path_factory.mktemp(name) / "raw"
    folder.mkdir()
    importlib.import_module(f"tests.samples.{name}").write(folder)
    return folder


@pytest.fixture(scope="module")
def source(name: str, raw: Path | None) -> Source:
    return SOURCES[name](raw)


@pytest.fixture(scope="module")
def recordings(source: Source) -> list[Recording]:
    return [recording for participant in source.participants() for recording in source.recordings(participant)]


def labels(recording: Recording) -> set[str]:
    if isinstance(recording.label, pd.Categorical):
        return set(recording.label.categories[np.unique(recording.label.codes[recording.label.codes >= 0])])
    return set() if recording.label is None else {recording.label}


def test_there_are_sources() -> None:
    assert {"smartwatch", "adl"} <= SOURCES.keys()


def test_name_is_the_key(name: str) -> None:
    assert SOURCES[name].name == name


@pytest.mark.parametrize("fact", ["title", "licence", "citation", "homepage"])
def test_origin_and_terms_are_stated(source: Source, fact: str) -> None:
    text = getattr(source, fact)
    assert isinstance(text, str)
    assert text == text.strip() != ""


def test_what_can_be_downloaded_has_an_address_and_a_size(source: Source) -> None:
    assert source.embedded == (not source.archives)
    for archive in source.archives:
        assert archive.url.startswith("https://")
        assert archive.size
        assert archive.sha256 is None or len(bytes.fromhex(archive.sha256)) == 32


def test_class_names_are_unique(source: Source) -> None:
    assert len(source.class_names) >= 2
    assert len(set(source.class_names)) == len(source.class_names)
    assert all(name == name.strip() != "" for name in source.class_names)


def test_at_least_three_participants_of_one_type_without_repeats(source: Source) -> None:
    participants = source.participants()
    assert len(set(participants)) == len(participants) >= 3
    assert {type(participant) for participant in participants} in ({int}, {str})


def test_recordings_are_of_the_participant_that_was_asked_for(source: Source) -> None:
    for participant in source.participants():
        assert {recording.participant for recording in source.recordings(participant)} <= {participant}


def test_recordings_depend_on_no_file_but_those_that_are_named(
    name: str, raw: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES[name](raw)
    opened: set[tuple[Path, str]] = set()

    def noting(method: Callable[[Raw, str], Any]) -> Callable[[Raw, str], Any]:
        def called(raw: Raw, name: str) -> Any:
            opened.add((raw.path, name))
            return method(raw, name)

        return called

    monkeypatch.setattr(Raw, "open", noting(Raw.open))
    monkeypatch.setattr(Raw, "inside", noting(Raw.inside))
    for participant in source.participants():
        opened.clear()
        for recording in source.recordings(participant):
            for annotation in labels(recording):
                source.label_of(annotation)
        named = set(source.files(participant))
        assert {name for path, name in opened if source.raw.path == path} <= named
        assert set(source.stamp(participant)) == named
        assert (0, 0) not in source.stamp(participant).values()


def test_recordings_are_three_axes_at_a_known_rate(recordings: list[Recording]) -> None:
    for recording in recordings:
        assert recording.samples.ndim == 2
        assert recording.samples.shape[1] == 3
        assert recording.samples.dtype.kind == "f"
        assert recording.rate_hz > 0
        assert recording.time is None or recording.time.shape == (len(recording.samples),)
        assert not isinstance(recording.label, pd.Categorical) or len(recording.label) == len(recording.samples)


def test_recordings_are_in_g(recordings: list[Recording]) -> None:
    lengths = np.concatenate([np.linalg.norm(recording.samples, axis=1) for recording in recordings])
    assert GRAVITY_G[0] <= np.nanmedian(lengths) <= GRAVITY_G[1]


def test_labels_are_the_class_names(source: Source, recordings: list[Recording]) -> None:
    found = {source.label_of(annotation) for recording in recordings for annotation in labels(recording)} - {None}
    assert found
    assert found <= set(source.class_names)


def test_recordings_can_be_read_again(source: Source, recordings: list[Recording]) -> None:
    again = [recording for participant in source.participants() for recording in source.recordings(participant)]
    assert same(again, recordings)


def same(some: Iterable[Recording], others: Iterable[Recording]) -> bool:
    return all(
        (one.participant, one.rate_hz, one.start) == (other.participant, other.rate_hz, other.start)
        and np.array_equal(one.samples, other.samples, equal_nan=True)
        and labels(one) == labels(other)
        for one, other in zip(some, others, strict=True)
    )


def test_what_it_gives_becomes_a_data_set(source: Source, tmp_path: Path) -> None:
    reports = prepare(source, tmp_path / "data", WindowPlan(window_s=5, step_s=5))
    assert [report.participant for report in reports] == list(source.participants())
    dataset = open_dataset(tmp_path / "data")
    assert len(dataset) == sum(report.windows for report in reports)
    assert dataset.windows.shape[1:] == (150, 3)
    assert set(dataset.class_names) <= set(source.class_names)
    assert len(dataset.participants) >= 3
    assert dataset.description.licence == source.licence


def test_an_archive_and_its_folder_are_the_same(name: str, raw: Path | None, tmp_path: Path) -> None:
    if raw is None:
        pytest.skip(f"{name} brings its files along")
    archive = Path(shutil.make_archive(str(tmp_path / "published"), "zip", raw))
    folder, zipped = tmp_path / "folder", tmp_path / "zipped"
    prepare(SOURCES[name](raw), folder, WindowPlan(window_s=5, step_s=5))
    prepare(SOURCES[name](archive), zipped, WindowPlan(window_s=5, step_s=5))
    assert open_dataset(folder).fingerprint == open_dataset(zipped).fingerprint


def test_files_of_something_else_are_refused(name: str, raw: Path | None, tmp_path: Path) -> None:
    if raw is None:
        pytest.skip(f"{name} brings its files along")
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(DataError) as caught:
        SOURCES[name](tmp_path).participants()
    assert str(tmp_path) in str(caught.value)
    assert SOURCES[name].homepage in str(caught.value)


def test_what_it_does_not_have_is_refused(name: str, raw: Path | None) -> None:
    cls = SOURCES[name]
    with pytest.raises(DataError, match="label"):
        cls(raw, Options(label_scheme="of nobody"))
    if not cls.selects:
        with pytest.raises(DataError, match="always reads all activities"):
            cls(raw, Options(all_activities=True))
    with pytest.raises(DataError, match="--raw"):
        cls(None if raw else Path())
