"""Encoders of the package fulfil the contract."""

import pytest

from sslwear.encoders import base
from sslwear.encoders.base import Encoder
from sslwear.errors import SettingsError
from sslwear.testing.encoders import EncoderContract
from sslwear.utils import plugins

ENCODERS = plugins.find("sslwear.encoders", Encoder)

for _name, _encoder in ENCODERS.items():
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (EncoderContract,), {"encoder": _encoder})


def test_there_are_encoders() -> None:
    assert {"harnet5", "harnet10", "harnet30"} <= ENCODERS.keys()


@pytest.mark.parametrize(("name", "encoder"), ENCODERS.items(), ids=ENCODERS)
def test_it_is_found_by_its_name(name: str, encoder: type[Encoder]) -> None:
    assert encoder.name == name
    assert base.get(name) is encoder


def test_a_name_that_nothing_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=f"there is no 'harnet'; choose one of {', '.join(ENCODERS)}"):
        base.get("harnet")
