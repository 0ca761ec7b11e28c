"""Pretext tasks of the package fulfil the contract, and ask their own questions."""

import pytest
import torch

from sslwear.errors import SettingsError
from sslwear.pretext import base
from sslwear.pretext.base import PretextTask
from sslwear.testing.batches import BATCH, FEATURES, batch
from sslwear.testing.pretext import PretextTaskContract

TASKS = base.find()
PUBLISHED = {"reverse", "permutation", "time_warp", "multi", "scale", "rotation", "jitter", "contrastive"}

for _name, _task in TASKS.items():
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (PretextTaskContract,), {"task": _task})


def test_there_are_tasks() -> None:
    assert TASKS.keys() >= PUBLISHED | {"hidden_half"}


@pytest.mark.parametrize(("name", "task"), TASKS.items(), ids=TASKS)
def test_it_is_found_by_its_name(name: str, task: type[PretextTask]) -> None:
    assert task.name == name
    assert base.get(name) is task


def test_a_name_that_nothing_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=f"^pretext: there is no 'jigsaw'; choose one of none, {', '.join(TASKS)}$"):
        base.get("jigsaw")


@pytest.mark.parametrize("name", ["permutation", "time_warp", "multi", "jitter"])
def test_a_window_is_transformed_differently_each_time(name: str) -> None:
    (one, first), (other, second) = batch(TASKS[name](), seed=0), batch(TASKS[name](), seed=1)
    twice = (first.all(dim=1) & second.all(dim=1)).nonzero().flatten()
    assert len(twice) > 0
    assert not any(torch.equal(one[i], other[i]) for i in twice)


@pytest.mark.parametrize(
    ("name", "questions", "choices"),
    [
        ("reverse", ["reverse"], 2),
        ("permutation", ["permutation"], 2),
        ("time_warp", ["time_warp"], 2),
        ("multi", ["reverse", "permutation", "time_warp"], 2),
        ("scale", ["scale"], 5),
        ("rotation", ["rotation"], 10),
        ("jitter", ["jitter"], 4),
        ("hidden_half", ["intensity", "rhythm", "posture"], 6),
    ],
)
def test_each_task_asks_its_own_questions(name: str, questions: list[str], choices: int) -> None:
    task = TASKS[name]()
    heads = dict(task.head(FEATURES).named_children())
    assert list(heads) == questions
    assert {head.out_features for head in heads.values()} == {choices}
    assert batch(task)[1].shape == (BATCH, len(questions))
