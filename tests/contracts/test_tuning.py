"""Tuning strategies of the package fulfil the contract."""

from sslwear.testing.tuning import TuningStrategyContract
from sslwear.tuning.base import TuningStrategy
from sslwear.utils import plugins

STRATEGIES = plugins.find("sslwear.tuning", TuningStrategy)

for _name, _strategy in STRATEGIES.items():
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (TuningStrategyContract,), {"strategy": _strategy})


def test_there_is_a_strategy() -> None:
    assert "mask" in STRATEGIES
