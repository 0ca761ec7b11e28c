"""Windows of a recording in pieces are those of the whole, to the bit."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.buffer import Spool
from sslwear.data.sources.base import Recording
from sslwear.data.windower import Cutter, Windows
from sslwear.data.windows import cut_recording


def in_pieces(recording: Recording, sizes: list[int], rate_hz: float, length: int) -> list[Windows]:
    assert recording.time is not None
    assert recording.worn is not None
    cutter, first, found = Cutter(recording.rate_hz, rate_hz, length), 0, []
    while first < len(recording.time):
        last = first + sizes[len(found) % len(sizes)]
        found.append(cutter.add(recording.time[first:last], recording.samples[first:last], recording.worn[first:last]))
        first = last
    return [*found, cutter.finish()]


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 400),
    recorded_hz=st.sampled_from([7.0, 20.0, 30.0, 100.0]),
    rate_hz=st.sampled_from([10.0, 30.0]),
    length=st.integers(1, 30),
    gaps=st.lists(st.tuples(st.integers(0, 399), st.floats(0.2, 5)), max_size=5),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    jitter=st.booleans(),
)
def test_pieces_give_the_windows_of_the_whole(
    seed: int,
    count: int,
    recorded_hz: float,
    rate_hz: float,
    length: int,
    gaps: list[tuple[int, float]],
    sizes: list[int],
    jitter: bool,
) -> None:
    random = np.random.default_rng(seed)
    steps = np.full(count, 1 / recorded_hz) * (random.uniform(0.5, 1.5, count) if jitter else 1)
    for place, longer in gaps:
        steps[place : place + 1] += longer
    samples = random.normal(0, 1, (count, 3)).astype(np.float32)
    worn = np.repeat(random.random(count // 20 + 1) < 0.6, 20)[:count]
    recording = Recording("anna", samples, recorded_hz, time=np.round(np.cumsum(steps), 3), worn=worn)
    whole = cut_recording(recording, rate_hz, length / rate_hz, length / rate_hz)
    found = in_pieces(recording, sizes, rate_hz, length)
    np.testing.assert_array_equal(np.concatenate([part.samples for part in found]), whole.windows)
    np.testing.assert_array_equal(np.concatenate([part.start for part in found]), whole.start)
    np.testing.assert_array_equal(np.concatenate([part.worn for part in found]), whole.worn)


def test_memory_holds_a_window_of_what_came(tmp_path: object) -> None:
    cutter = Cutter(100, 30, 300)
    for i in range(50):
        time = np.arange(i * 700, (i + 1) * 700) / 100
        cutter.add(time, np.zeros((700, 3), np.float32), np.ones(700, bool))
        assert len(cutter._time) <= 10 * 100 + 4


@given(
    times=st.lists(st.integers(-50, 50), max_size=60),
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=3).filter(any),
    lost=st.sets(st.integers(0, 59)),
)
def test_a_spool_keeps_what_is_later_than_all_before(tmp_path_factory, times, sizes, lost) -> None:
    values = np.arange(len(times), dtype=np.float32)
    values[[i for i in lost if i < len(times)]] = np.nan
    with Spool(tmp_path_factory.getbasetemp(), ("x", "y", "z", "temperature")) as spool:
        first, i = 0, 0
        while first < len(times):
            piece = slice(first, first + sizes[i % len(sizes)])
            columns = dict.fromkeys(("x", "y", "z"), values[piece])
            spool.append(np.array(times[piece], np.int64), columns | {"temperature": -values[piece]})
            first, i = piece.stop, i + 1
        later = [i for i, time in enumerate(times) if time > max(times[:i], default=-99)]
        kept = [i for i in later if i not in lost]
        assert spool.time(0, len(spool)).tolist() == [times[i] for i in kept]
        assert spool.values(0, len(spool), ("z", "temperature")).tolist() == [[i, -i] for i in kept]
        assert spool.unordered == sum(b <= a for a, b in itertools.pairwise(times))
        assert (spool.backwards is not None) == any(b < a for a, b in itertools.pairwise(times))


def test_a_spool_is_replaced_in_place(tmp_path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(np.arange(10), {name: np.arange(10, dtype=np.float32) for name in "xyz"})
        spool.replace(4, np.array([[1, 2, 3], [4, 5, 6]], np.float32))
        assert spool.values(3, 7).tolist() == [[3, 3, 3], [1, 2, 3], [4, 5, 6], [6, 6, 6]]
        assert spool.values(8, 99).shape == (2, 3)
        assert list(spool.ranges(4)) == [(0, 4), (4, 8), (8, 10)]
        assert list(tmp_path.iterdir()) == []  # what has no name is gone when the process is
