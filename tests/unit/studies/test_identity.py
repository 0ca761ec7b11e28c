"""A study resumes with the settings that it was started with; keys without effect do not count."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from sslwear.config import parse
from sslwear.errors import StudyError
from sslwear.studies.workers.identity import RESULTS_VERSIONS, check_same

SAME = {"fingerprint": "1", "classes": "4", "weights": "2", "split": "3", "window": "150"}
NOW = {**SAME, "versions": RESULTS_VERSIONS, "plugins": {}}


def started(**content: Any) -> optuna.Study:
    """A study that was started with some settings."""
    study = optuna.create_study()
    study.set_user_attr("settings", parse({"study": "a", "data": "b", **content}, "the test").to_yaml())
    return study


@pytest.mark.parametrize(
    "content",
    [
        {"training": {"augment_degrees": 20}},
        {"pretraining": {"max_epochs": 3}},
        {"evaluation": {"methods": {"a": {}}}, "seed": 42},
        {"pruner": {"warmup_epochs": 4}},
    ],
)
def test_a_key_without_effect_may_be_removed(content: dict[str, Any]) -> None:
    check_same(started(**content), NOW, parse({"study": "a", "data": "b"}, "the test"))


@pytest.mark.parametrize(
    ("content", "key"),
    [({"training": {"patience": 3}}, "training.patience"), ({"split": {"test": 0.3}}, "split.test")],
)
def test_a_key_with_effect_may_not_be_removed(content: dict[str, Any], key: str) -> None:
    with pytest.raises(StudyError, match=f"was started with another {key}"):
        check_same(started(**content), NOW, parse({"study": "a", "data": "b"}, "the test"))


def test_the_folder_of_the_same_data_may_be_another_one() -> None:
    study, elsewhere = started(), parse({"study": "a", "data": "moved/b"}, "the test")
    study.set_user_attr("fingerprint", NOW["fingerprint"])
    check_same(study, NOW, elsewhere)
    study.set_user_attr("fingerprint", "2")
    with pytest.raises(StudyError, match=r"was started with another data \('b', and now 'moved/b'\)"):
        check_same(study, NOW, elsewhere)


def test_another_version_of_a_plugin_is_refused_and_unknown_ones_are_not() -> None:
    study, settings = started(), parse({"study": "a", "data": "b"}, "the test")
    check_same(study, {**NOW, "plugins": {"training": {"encoder": "1"}}}, settings)  # of an earlier sslwear
    study.set_user_attr("plugins", {"training": {"encoder": "1"}})
    check_same(study, {**NOW, "plugins": {"training": {"encoder": "1"}}}, settings)
    with pytest.raises(StudyError, match="was started with another version of a plug-in"):
        check_same(study, {**NOW, "plugins": {"training": {"encoder": "2"}}}, settings)


@pytest.mark.parametrize(
    ("name", "before", "words"),
    [
        ("fingerprint", "abcdefghij", r"other data \(fingerprint abcdefgh, and now 1\)"),
        ("classes", "x", r"other names of the classes, or another order of them \(classes x, and now 4\)"),
        ("weights", "random", r"other initial weights \(weights random, and now 2\)"),
        ("split", "x", r"other participants in its folds or its test \(split x, and now 3\)"),
        ("window", "300", r"windows of another length in samples \(window 300, and now 150\)"),
        ("versions", {**RESULTS_VERSIONS, "features": 99}, r"results of features have the version 99, and here \d+"),
    ],
)
def test_another_worker_is_refused_with_the_difference_named(name: str, before: Any, words: str) -> None:
    study = started()
    study.set_user_attr(name, before)
    with pytest.raises(StudyError, match=f"{words}.*--set study=a-2"):
        check_same(study, NOW, parse({"study": "a", "data": "b"}, "the test"))


def test_a_study_of_an_earlier_version_keeps_fewer_things() -> None:
    check_same(started(), NOW, parse({"study": "a", "data": "b"}, "the test"))
