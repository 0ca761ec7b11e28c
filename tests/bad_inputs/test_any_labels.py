"""Arrays of any labels: each label is a class as it was written, or the data set is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sslwear.data.checks import MISSING, labels_of
from sslwear.errors import DataError
from tests.bad_inputs.answers import check_sentence

Y = Path("data") / "Y.npy"
ABSENT = [*MISSING, *(text.upper() for text in MISSING), " nan ", "None\t", "NaN", "NaT"]
TEXTS = st.text(max_size=12) | st.sampled_from([*ABSENT, "walk", "0", "1.0", "True", "=1", "Öl", "\x1b[2J"])
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 3)
LABELS = (
    st.lists(TEXTS, min_size=1, max_size=8)
    | st.lists(NUMBERS, min_size=1, max_size=8)
    | st.lists(st.floats(), min_size=1, max_size=8)
    | st.lists(st.booleans(), min_size=1, max_size=8)
    | st.lists(st.binary(max_size=8), min_size=1, max_size=8)
    | st.lists(TEXTS | NUMBERS | st.floats() | st.none(), min_size=1, max_size=8)
)
BOUNDED = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def is_absent(label: Any) -> bool:
    """Whether a researcher means by it that there is no label."""
    return label is None or label != label or str(label).strip().lower() in MISSING


def array(labels: list[Any]) -> np.ndarray:
    """As a user makes an array of them; text is longer than NumPy's trailing zeros, which it drops."""
    if all(isinstance(label, str) for label in labels):
        return np.array([label.rstrip("\0") for label in labels])
    return np.array(labels)


@BOUNDED
@given(labels=LABELS)
@example(labels=["walk", "n/a"])
@example(labels=["walk", np.nan])
@example(labels=["walk", None])
@example(labels=["walk", 3])
@example(labels=[0, -1])
@example(labels=[b"\xff"])
@example(labels=[True, False])
@example(labels=["\x00", "a"])
def test_every_label_is_a_class_or_the_array_is_refused(labels: list[Any]) -> None:
    found = array(labels)
    if found.dtype.kind == "O":
        found = found.astype(str)  # as users save what cannot be saved otherwise
    try:
        indices, names = labels_of(Y, found, None)
    except DataError as error:
        check_sentence(error, f"{Y} ")
        return
    assert [names[index] for index in indices] == [
        label.decode() if isinstance(label, bytes) else str(label) for label in found.tolist()
    ]
    assert len(set(names)) == len(names)
    assert not any(map(is_absent, names))
    assert not any(map(is_absent, labels))


@BOUNDED
@given(
    labels=st.lists(st.integers(-3, 5), min_size=1, max_size=8) | st.lists(TEXTS, min_size=1, max_size=8),
    names=st.lists(TEXTS, unique=True, max_size=5),
)
@example(labels=["NA"], names=["NA", "walk"])
@example(labels=[0, 1], names=[])
def test_labels_are_those_that_the_description_lists(labels: list[Any], names: list[str]) -> None:
    try:
        indices, classes = labels_of(Y, array(labels), tuple(names))
    except DataError as error:
        check_sentence(error, f"{Y} ")
        return
    assert classes == tuple(names)
    if isinstance(labels[0], str):
        assert [names[index] for index in indices] == array(labels).tolist()
    else:
        assert indices.tolist() == labels
