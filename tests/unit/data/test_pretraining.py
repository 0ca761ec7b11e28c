"""Several directories to pre-train on: who is the same person, whose windows are left out, which classes there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sslwear.data.arrays import Description, write_dataset
from sslwear.data.dataset import Dataset, open_dataset
from sslwear.data.prepare import WindowPlan, prepare
from sslwear.data.pretraining import DatasetParticipant, PretrainingData, open_pretraining_data
from sslwear.data.shards import Shards, open_shards
from sslwear.data.sources.smartwatch import Smartwatch
from sslwear.errors import DataError

Making = Callable[..., Dataset]
ADL = Description(name="adl", source="adl")


@pytest.fixture
def making(tmp_path: Path) -> Making:
    """Makes a data set of people with four windows each, walking and sitting by turns."""

    def make(name: str, people: Sequence[str], source: str | None, classes: Sequence[str] = ("sit", "walk")) -> Dataset:
        pid = np.repeat(people, 4)
        x = np.random.default_rng(0).normal([0, 0, 1], 0.3, (len(pid), 150, 3)).astype(np.float32)
        labels = np.array(classes)[np.arange(len(pid)) % 2]
        description = Description(name=name, source=source, class_names=tuple(classes))
        write_dataset(tmp_path / name, x, labels, pid, np.arange(len(pid), dtype=float), description)
        return open_dataset(tmp_path / name)

    return make


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    folder = tmp_path_factory.mktemp("collection") / "shards"
    prepare(Smartwatch(), folder, WindowPlan(window_s=5, step_s=5, unlabelled=True))
    return open_shards(folder)


def names(collection: PretrainingData, of: Description = ADL, without: Sequence[str] = ()) -> list[list[str]]:
    return [[str(pool.participant) for pool in pools] for pools in collection.people(of, without)]


def test_a_data_set_alone_keeps_its_names_and_its_fingerprint(making: Making) -> None:
    data = making("mine", ["a", "b"], None)
    alone = PretrainingData((data,))
    assert names(alone) == [["a"], ["b"]]
    assert (alone.fingerprint, len(alone), alone.name) == (data.fingerprint, 8, "mine")


def test_names_say_the_part_where_there_are_several(making: Making, shards: Shards) -> None:
    both = PretrainingData((making("mine", ["a"], "lab"), shards))
    assert names(both)[:2] == [["mine:a"], [f"{shards.description.name}:{shards.participants[0]}"]]
    assert len(names(both)) == 11
    assert both.fingerprint not in {part.fingerprint for part in both.parts}
    assert both.fingerprint != PretrainingData(both.parts[::-1]).fingerprint
    assert str(shards.folder) in both.place


@pytest.mark.parametrize(
    ("sources", "people"),
    [
        (("lab", "lab"), [["one:a", "two:a"], ["one:b"], ["two:c"]]),
        (("lab", "other lab"), [["one:a"], ["one:b"], ["two:a"], ["two:c"]]),
        (("lab", None), [["one:a", "two:a"], ["one:b"], ["two:c"]]),
    ],
)
def test_one_name_is_one_person_unless_the_sources_are_known_and_differ(
    making: Making, sources: tuple[str, str | None], people: list[list[str]]
) -> None:
    parts = making("one", ["a", "b"], sources[0]), making("two", ["a", "c"], sources[1])
    assert names(PretrainingData(parts)) == people


@pytest.mark.parametrize(("source", "left"), [("adl", ["b"]), (None, ["b"]), ("wisdm", ["a", "b"])])
def test_people_of_the_same_name_are_left_out_unless_they_are_known_to_be_others(
    making: Making, source: str | None, left: list[str]
) -> None:
    collection = PretrainingData((making("mine", ["a", "b"], source),))
    assert names(collection, ADL, ["a"]) == [[name] for name in left]
    judged = making("judged", ["a", "z"], "adl")
    assert collection.shared(judged, {"a", "z"}) == sorted({"a", "b"} - set(left))


@pytest.mark.parametrize("spelling", ["07", "7.0", "7 ", "7_visit2"])
def test_people_are_left_out_and_joined_in_any_spelling(making: Making, spelling: str) -> None:
    one, two = making("one", ["7", "8"], None), making("two", [spelling, "9"], None)
    assert names(PretrainingData((two,)), ADL, ["7"]) == [["9"]]
    assert names(PretrainingData((two,)), ADL, [7]) == [["9"]]  # type: ignore[list-item]
    assert [len(pools) for pools in PretrainingData((one, two)).people(ADL, ())] == [2, 1, 1]
    assert PretrainingData((two,)).shared(one, {"7", "8"}) == ["7"]


def test_classes_of_several_parts_are_counted_on(making: Making, shards: Shards) -> None:
    one = making("one", ["a"], "x", classes=("lie", "sit"))
    two = making("two", ["b"], "y", classes=("sit", "walk", "run"))
    collection = PretrainingData((one, shards, two))
    assert collection.class_names == ("one: lie", "one: sit", "two: sit", "two: walk", "two: run")
    assert collection.labelled().parts == (one, two)
    (first,), *_, (last,) = collection.people(ADL, ())
    assert isinstance(first, DatasetParticipant)
    assert isinstance(last, DatasetParticipant)
    assert_array_equal(first.labels(first.rows()), one.labels)
    assert_array_equal(last.labels(last.rows()), two.labels + 2)
    (shard,) = collection.people(ADL, ())[1]
    assert not shard.labels(shard.rows()).any()


def test_only_windows_in_which_the_device_was_worn_are_drawn(making: Making) -> None:
    data = making("mine", ["a", "b"], None)
    worn = np.array([True, False, True, True, False, False, False, False])
    np.save(data.folder / "worn.npy", worn)
    (data.folder / "dataset.json").unlink()
    ((pool,),) = PretrainingData((open_dataset(data.folder),)).people(ADL, ())
    assert (pool.participant, pool.count) == ("a", 3)
    assert_array_equal(pool.rows(), [0, 2, 3])


def test_data_sets_shards_and_sources_that_come_along_are_opened(
    making: Making, shards: Shards, tmp_path: Path
) -> None:
    mine = making("mine", ["a"], None)
    collection = open_pretraining_data([str(mine.folder), str(shards.folder), "smartwatch"], tmp_path)
    assert [type(part) for part in collection.parts] == [Dataset, Shards, Dataset]
    assert [len(part) for part in collection.parts] == [4, len(shards), 770]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "is neither a directory nor a source"),
        (".", r"has neither a data set \(X.npy\) nor shards of unlabelled windows"),
    ],
)
def test_what_is_neither_is_refused(place: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_pretraining_data([str(tmp_path / place)], tmp_path)
