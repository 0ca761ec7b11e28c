"""Windows of a recording in pieces are exactly those of the whole; the buffer keeps samples on disk."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from sslwear.data.files.buffer import SampleBuffer
from sslwear.data.sources.base import Recording
from sslwear.data.windowing import Windower, Windows, concatenate, usable_part
from tests.cutting import cut_recording


def in_pieces(
    recording: Recording, sizes: list[int], rate_hz: float, window_s: float, step_s: float, limit_g: float
) -> Windows:
    recording, axis = usable_part(recording)  # with its true rate, by its times
    assert recording.time is not None
    assert recording.worn is not None
    assert axis.rate_hz is not None
    assert isinstance(recording.label, pd.Categorical)
    names = recording.label.categories
    windower = Windower(axis.rate_hz, rate_hz, window_s, step_s, len(names), limit_g, axis.resolution_s)
    first, found = 0, list[Windows]()
    while first < len(recording.time):
        here = slice(first, first + sizes[len(found) % len(sizes)])
        codes = np.asarray(recording.label.codes)[here]
        found.append(windower.add(recording.time[here], recording.samples[here], recording.worn[here], codes))
        first = here.stop
    return concatenate([*found, windower.finish()])


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 400),
    recorded_hz=st.sampled_from([7.0, 20.0, 30.0, 100.0]),
    rate_hz=st.sampled_from([10.0, 30.0]),
    length=st.integers(1, 30),
    step=st.integers(1, 45),
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
    step: int,
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
    codes = np.repeat(random.integers(-1, 3, count // 15 + 1), 15)[:count]
    label = pd.Categorical.from_codes(codes, ["a", "b", "c"])
    recording = Recording("anna", samples, recorded_hz, label, np.round(np.cumsum(steps), 3), worn=worn)
    whole = cut_recording(recording, rate_hz, length / rate_hz, step / rate_hz, 2.5)
    found = in_pieces(recording, sizes, rate_hz, length / rate_hz, step / rate_hz, 2.5)
    for field in fields(Windows):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(whole, field.name))


def test_memory_holds_at_most_a_window() -> None:
    windower = Windower(100, 30, 10, 10)
    for i in range(50):
        time = np.arange(i * 700, (i + 1) * 700) / 100
        windower.add(time, np.zeros((700, 3), np.float32), np.ones(700, bool))
        assert len(windower._time) <= 10 * 100 + 4


@given(
    blocks=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), max_size=6),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    lost=st.sets(st.integers(0, 99)),
)
def test_a_buffer_leaves_what_can_be_used_in_order_of_time(tmp_path_factory, blocks, sizes, lost) -> None:
    time = np.concatenate([np.zeros(0), *(60 * begin + np.arange(length) for begin, length in blocks)])
    time = (time * 1e9).astype(np.int64)
    values = np.arange(len(time), dtype=np.float32)
    values[[i for i in lost if i < len(time)]] = np.nan
    with closing(SampleBuffer(tmp_path_factory.getbasetemp(), ("x", "y", "z", "temperature"))) as buffer:
        first, i = 0, 0
        while first < len(time):
            piece = slice(first, first + sizes[i % len(sizes)])
            columns = dict.fromkeys(("x", "y", "z"), values[piece])
            buffer.append(time[piece], columns | {"temperature": -values[piece]})
            first, i = piece.stop, i + 1
        axis = buffer.arrange()
        assert len(buffer) == axis.used == len(time) - sum(one.samples for one in axis.cuts)
        kept = buffer.time(0, len(buffer))
        assert (np.diff(kept) > 0).all()
        found = buffer.values(0, len(buffer), ("z", "temperature"))
        np.testing.assert_array_equal(found[:, 0], -found[:, 1])
        np.testing.assert_array_equal(time[found[:, 0].astype(int)], kept)


def test_values_of_a_buffer_are_replaced(tmp_path) -> None:
    with closing(SampleBuffer(tmp_path)) as buffer:
        buffer.append(np.arange(10), {name: np.arange(10, dtype=np.float32) + 10 for name in "xyz"})
        buffer.replace(4, np.array([[1, 2, 3], [4, 5, 6]], np.float32))
        assert buffer.values(3, 7).tolist() == [[13, 13, 13], [1, 2, 3], [4, 5, 6], [16, 16, 16]]
        assert buffer.values(8, 99).shape == (2, 3)
        assert list(buffer.ranges(4)) == [(0, 4), (4, 8), (8, 10)]
        assert list(tmp_path.iterdir()) == []  # the files have no name, so that the system removes them
