"""Baselines of the package fulfil the contract."""

import pytest

from sslwear.errors import SettingsError
from sslwear.evaluation.baselines.base import PACKAGE, Baseline, get
from sslwear.evaluation.baselines.random_forest import RandomForest
from sslwear.testing.baselines import BaselineContract
from sslwear.utils import plugins

BASELINES = plugins.find(PACKAGE, Baseline)

for _name, _baseline in BASELINES.items():
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (BaselineContract,), {"baseline": _baseline})


def test_there_are_baselines() -> None:
    assert BASELINES["random_forest"] is RandomForest


@pytest.mark.parametrize(("name", "baseline"), BASELINES.items(), ids=BASELINES)
def test_it_is_found_by_its_name(name: str, baseline: type[Baseline]) -> None:
    assert baseline.name == name
    assert get(name) is baseline


def test_an_unknown_name_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(SettingsError, match=f"there is no 'svm'; choose one of {', '.join(BASELINES)}$"):
        get("svm")
