"""Contract of data sources, to be run by pytest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from sslwear.data.dataset import open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.sources.base import Options, Recording, Source
from sslwear.data.sources.raw import Raw
from sslwear.errors import DataError

GRAVITY_G = (0.5, 2.0)
"""Smallest and largest plausible median of the length of acceleration, in g."""


def labels(recording: Recording) -> set[str]:
    """Annotations that occur in a recording."""
    if isinstance(recording.label, pd.Categorical):
        return set(recording.label.categories[np.unique(recording.label.codes[recording.label.codes >= 0])])
    return set() if recording.label is None else {recording.label}


def all_recordings(source: Source) -> list[Recording]:
    """Recordings of all participants."""
    return [recording for participant in source.participants() for recording in source.recordings(participant)]


def same(some: Iterable[Recording], others: Iterable[Recording]) -> bool:
    """Whether two lists of recordings have the same content."""
    return all(
        (one.participant, one.rate_hz, one.start) == (other.participant, other.rate_hz, other.start)
        and np.array_equal(one.samples, other.samples, equal_nan=True)
        and labels(one) == labels(other)
        for one, other in zip(some, others, strict=True)
    )


class SourceContract:
    """What every data source has to fulfil: facts about its origin, and recordings in g that become a data set.

    A test module subclasses it, with a function that writes small files in the published format into a folder::

        class TestMySource(SourceContract):
            source = MySource
            write = staticmethod(write_files)
    """

    source: ClassVar[type[Source]]
    write: ClassVar[Callable[[Path], None] | None] = None
    """Function that writes raw files into a folder; None for sources whose recordings are embedded."""

    @pytest.fixture(scope="class")
    @classmethod
    def raw(cls, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
        """Folder of small raw files; None for embedded recordings."""
        if cls.source.embedded:
            return None
        assert cls.write is not None, "write is missing: a function that writes raw files into a folder"
        folder = tmp_path_factory.mktemp(cls.source.name) / "raw"
        folder.mkdir()
        cls.write(folder)
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls, raw: Path | None) -> Source:
        """The source with its raw files."""
        return cls.source(raw)

    @pytest.fixture(scope="class")
    @classmethod
    def recordings(cls, opened: Source) -> list[Recording]:
        """All recordings."""
        return all_recordings(opened)

    @pytest.mark.parametrize("fact", ["title", "licence", "citation", "homepage"])
    def test_origin_and_terms_are_stated(self, opened: Source, fact: str) -> None:
        text = getattr(opened, fact)
        assert isinstance(text, str)
        assert text == text.strip() != ""

    def test_what_can_be_downloaded_has_an_address_and_a_size(self, opened: Source) -> None:
        assert opened.embedded == (not opened.archives)
        for archive in opened.archives:
            assert archive.url.startswith("https://")
            assert archive.size
            assert archive.sha256 is None or len(bytes.fromhex(archive.sha256)) == 32

    def test_class_names_are_unique(self, opened: Source) -> None:
        assert len(opened.class_names) >= 2
        assert len(set(opened.class_names)) == len(opened.class_names)
        assert all(name == name.strip() != "" for name in opened.class_names)

    def test_at_least_three_participants_of_one_type_without_repeats(self, opened: Source) -> None:
        participants = opened.participants()
        assert len(set(participants)) == len(participants) >= 3
        assert {type(participant) for participant in participants} in ({int}, {str})

    def test_recordings_are_of_the_participant_that_was_asked_for(self, opened: Source) -> None:
        for participant in opened.participants():
            assert {recording.participant for recording in opened.recordings(participant)} <= {participant}

    def test_recordings_depend_on_no_file_but_those_that_are_named(
        self, raw: Path | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = self.source(raw)
        files: set[tuple[Path, str]] = set()

        def noting(method: Callable[[Raw, str], Any]) -> Callable[[Raw, str], Any]:
            def called(raw: Raw, name: str) -> Any:
                files.add((raw.path, name))
                return method(raw, name)

            return called

        monkeypatch.setattr(Raw, "open", noting(Raw.open))
        monkeypatch.setattr(Raw, "inside", noting(Raw.inside))
        for participant in opened.participants():
            files.clear()
            for recording in opened.recordings(participant):
                for annotation in labels(recording):
                    opened.label_of(annotation)
            named = set(opened.files(participant))
            assert {name for path, name in files if opened.raw.path == path} <= named
            assert set(opened.stamp(participant)) == named
            assert (0, 0) not in opened.stamp(participant).values()

    def test_recordings_are_three_axes_at_a_known_rate(self, recordings: list[Recording]) -> None:
        for recording in recordings:
            assert recording.samples.ndim == 2
            assert recording.samples.shape[1] == 3
            assert recording.samples.dtype.kind == "f"
            assert recording.rate_hz > 0
            assert recording.time is None or recording.time.shape == (len(recording.samples),)
            assert not isinstance(recording.label, pd.Categorical) or len(recording.label) == len(recording.samples)

    def test_recordings_are_in_g(self, recordings: list[Recording]) -> None:
        lengths = np.concatenate([np.linalg.norm(recording.samples, axis=1) for recording in recordings])
        assert GRAVITY_G[0] <= np.nanmedian(lengths) <= GRAVITY_G[1]

    def test_labels_are_the_class_names(self, opened: Source, recordings: list[Recording]) -> None:
        annotations = {annotation for recording in recordings for annotation in labels(recording)}
        found = {opened.label_of(annotation) for annotation in annotations} - {None}
        assert found
        assert found <= set(opened.class_names)

    def test_recordings_can_be_read_again(self, opened: Source, recordings: list[Recording]) -> None:
        assert same(all_recordings(opened), recordings)

    def test_what_it_gives_becomes_a_data_set(self, opened: Source, tmp_path: Path) -> None:
        reports = prepare(opened, tmp_path / "data", WindowPlan(window_s=5, step_s=5))
        assert [report.participant for report in reports] == list(opened.participants())
        dataset = open_dataset(tmp_path / "data")
        assert len(dataset) == sum(report.windows for report in reports)
        assert dataset.windows.shape[1:] == (150, 3)
        assert set(dataset.class_names) <= set(opened.class_names)
        assert len(dataset.participants) >= 3
        assert dataset.description.licence == opened.licence

    def test_an_archive_and_its_folder_are_the_same(self, raw: Path | None, tmp_path: Path) -> None:
        if raw is None:
            pytest.skip("for sources with raw files")
        archive = Path(shutil.make_archive(str(tmp_path / "published"), "zip", raw))
        folder, zipped = tmp_path / "folder", tmp_path / "zipped"
        prepare(self.source(raw), folder, WindowPlan(window_s=5, step_s=5))
        prepare(self.source(archive), zipped, WindowPlan(window_s=5, step_s=5))
        assert open_dataset(folder).fingerprint == open_dataset(zipped).fingerprint

    def test_files_of_something_else_are_refused(self, raw: Path | None, tmp_path: Path) -> None:
        if raw is None:
            pytest.skip("for sources with raw files")
        (tmp_path / "thesis.txt").write_text("ten years of work")
        with pytest.raises(DataError) as caught:
            self.source(tmp_path).participants()
        assert str(tmp_path) in str(caught.value)
        assert self.source.homepage in str(caught.value)

    def test_what_it_does_not_have_is_refused(self, raw: Path | None) -> None:
        cls = self.source
        with pytest.raises(DataError, match="label"):
            cls(raw, Options(label_scheme="of nobody"))
        if not cls.selects:
            with pytest.raises(DataError, match="always reads all activities"):
                cls(raw, Options(all_activities=True))
        with pytest.raises(DataError, match="--raw"):
            cls(None if raw else Path())
