"""What every source of recordings keeps to; a new one is tested as soon as its file is there."""

from collections.abc import Iterable

import numpy as np
import pytest

from sslwear.data.prepare import RATE_HZ, STEP_S, WINDOW_S
from sslwear.data.sources.base import Recording, Source, find
from sslwear.data.windows import cut, resample

GRAVITY_G = (0.5, 2.0)

SOURCES = find()


@pytest.fixture(scope="module", params=list(SOURCES))
def source(request: pytest.FixtureRequest) -> Source:
    return SOURCES[request.param]()


@pytest.fixture(scope="module")
def recordings(source: Source) -> list[Recording]:
    return list(source.recordings())


def test_there_is_a_source() -> None:
    assert "smartwatch" in SOURCES


@pytest.mark.parametrize("name", list(SOURCES))
def test_name_is_the_key(name: str) -> None:
    assert SOURCES[name].name == name


@pytest.mark.parametrize("fact", ["title", "licence", "citation"])
def test_origin_and_terms_are_stated(source: Source, fact: str) -> None:
    text = getattr(source, fact)
    assert isinstance(text, str)
    assert text == text.strip() != ""


def test_class_names_are_unique(source: Source) -> None:
    assert len(source.class_names) >= 2
    assert len(set(source.class_names)) == len(source.class_names)
    assert all(name == name.strip() != "" for name in source.class_names)


def test_recordings_are_three_finite_axes_at_a_known_rate(recordings: list[Recording]) -> None:
    for recording in recordings:
        assert recording.samples.ndim == 2
        assert recording.samples.shape[1] == 3
        assert recording.samples.dtype.kind == "f"
        assert np.isfinite(recording.samples).all()
        assert recording.rate_hz > 0


def test_recordings_are_in_g(recordings: list[Recording]) -> None:
    lengths = np.concatenate([np.linalg.norm(recording.samples, axis=1) for recording in recordings])
    assert GRAVITY_G[0] <= np.median(lengths) <= GRAVITY_G[1]


def test_labels_are_the_class_names(source: Source, recordings: list[Recording]) -> None:
    assert {recording.label for recording in recordings} == set(source.class_names)


def test_at_least_three_participants_of_one_type(recordings: list[Recording]) -> None:
    participants = {recording.participant for recording in recordings}
    assert len(participants) >= 3
    assert {type(participant) for participant in participants} in ({int}, {str})


def test_windows_can_be_cut_of_every_class(source: Source, recordings: list[Recording]) -> None:
    counts = dict.fromkeys(source.class_names, 0)
    for recording in recordings:
        samples = resample(recording.samples, recording.rate_hz, RATE_HZ)
        windows, starts = cut(samples, RATE_HZ, WINDOW_S, STEP_S)
        assert windows.shape == (len(starts), RATE_HZ * WINDOW_S, 3)
        counts[recording.label] += len(windows)
    assert min(counts.values()) > 0


def test_recordings_can_be_read_again(source: Source, recordings: list[Recording]) -> None:
    assert same(source.recordings(), recordings)


def same(some: Iterable[Recording], others: Iterable[Recording]) -> bool:
    return all(
        (one.participant, one.rate_hz, one.label) == (other.participant, other.rate_hz, other.label)
        and np.array_equal(one.samples, other.samples)
        for one, other in zip(some, others, strict=True)
    )
