"""Who of the unlabelled participants is taken for somebody who is tested."""

from dataclasses import replace
from pathlib import Path

import pytest

from sslwear.data.arrays import Description
from sslwear.data.shards import Shard, Shards
from sslwear.data.splits import Split
from sslwear.search.protocol import seen
from tests.unit.data.test_splits import dataset

SPLITS = [Split((1,), (2,), (3,)), Split((1,), (3,), (2,))]


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "shared"),
    [
        (None, None, {"2", "3"}),
        ("Gym", None, {"2", "3"}),
        (None, "Gym", {"2", "3"}),
        ("Gym", "Gym", {"2", "3"}),
        ("Gym", "Home", set()),
    ],
)
def test_the_same_name_is_the_same_person_unless_the_sources_are_known_to_differ(
    labelled: str | None, unlabelled: str | None, shared: set[str]
) -> None:
    data = replace(dataset([1, 2, 3]), description=Description(name="a", source=labelled))
    people = tuple(Shard(Path(), name, 1, "") for name in (1, "2", 3, "4"))
    assert seen(data, Shards(Path(), people, Description(name="b", source=unlabelled)), SPLITS) == shared


def test_who_is_trained_or_validated_on_in_all_folds_may_be_among_the_unlabelled() -> None:
    people = tuple(Shard(Path(), name, 1, "") for name in (1, 4))
    assert seen(dataset([1, 2, 3]), Shards(Path(), people, Description(name="b")), SPLITS) == set()
