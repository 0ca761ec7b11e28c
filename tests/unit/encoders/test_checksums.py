"""Checksums of checkpoints: a file that changed is refused, and old checkpoints without checksums are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslwear.encoders import checksums, weights
from sslwear.encoders.card import CARD, CHECKPOINT, Card, network
from sslwear.encoders.classifier import Model
from sslwear.errors import WeightsError

A_CARD = Card("harnet5", 150, 30.0, "g", ("walk", "sit"), "a data set", "f", None, reference_ranges={})


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a model."""
    place = tmp_path_factory.mktemp("model")
    weights.save(network(A_CARD), place / CHECKPOINT)
    (place / CARD).write_text(A_CARD.to_json())
    checksums.write(place)
    return {path.name: path.read_bytes() for path in place.iterdir()}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_an_intact_model_loads(intact: dict[str, bytes], tmp_path: Path) -> None:
    assert set(intact) == {CHECKPOINT, CARD, checksums.CHECKSUMS}
    assert Model.load(written(tmp_path, intact)).card == A_CARD


@pytest.mark.parametrize("name", [CHECKPOINT, CARD])
def test_one_changed_bit_is_found(intact: dict[str, bytes], tmp_path: Path, name: str) -> None:
    content = bytearray(intact[name])
    content[-40] ^= 1
    folder = written(tmp_path, {**intact, name: bytes(content)})
    with pytest.raises(WeightsError, match=f"{name} is damaged"):
        Model.load(folder)


def test_a_model_without_checksums_loads(intact: dict[str, bytes], tmp_path: Path) -> None:
    files = {name: content for name, content in intact.items() if name != checksums.CHECKSUMS}
    assert Model.load(written(tmp_path, files)).card == A_CARD


def test_files_that_were_not_fetched_are_not_compared(intact: dict[str, bytes], tmp_path: Path) -> None:
    folder = written(tmp_path, {name: intact[name] for name in (CHECKPOINT, checksums.CHECKSUMS)})
    checksums.verify(folder)
    (folder / CHECKPOINT).write_bytes(intact[CHECKPOINT][:-1])
    with pytest.raises(WeightsError, match=f"{CHECKPOINT} is damaged"):
        checksums.verify(folder)
