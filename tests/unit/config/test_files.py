"""A study file may change another one, and its relative paths are relative to the file."""

from pathlib import Path

import pytest

from sslwear.config import Settings, load
from sslwear.errors import SettingsError

BASE = "study: a\ndata: smartwatch\ntraining: {augment: true, augment_degrees: 20, patience: 9}\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a folder ``studies``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "base.yaml").write_text(BASE)
    return tmp_path


def loaded(text: str, *overrides: str, name: str = "studies/study.yaml") -> Settings:
    Path(name).write_text(text)
    return load(Path(name), overrides)


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(text)
    return str(caught.value)


def test_a_file_changes_its_base_key_by_key(place: Path) -> None:
    found = loaded("base: base.yaml\nstudy: b\ntraining: {patience: 3}\nsearch: {batch_size: [32]}\n")
    assert (found.study, found.data, found.search.batch_size) == ("b", "smartwatch", (32,))
    assert (found.training.augment, found.training.augment_degrees, found.training.patience) == (True, 20, 3)


def test_lists_are_replaced_and_null_removes(place: Path) -> None:
    loaded(BASE + "evaluation: {seeds: [1, 2], methods: {a: {}, b: {}}}\n", name="studies/base.yaml")
    found = loaded("base: base.yaml\nevaluation: {seeds: [3], methods: {b: null}}\ntraining: {patience: null}\n")
    assert found.evaluation is not None
    assert (found.evaluation.seeds, set(found.evaluation.methods)) == ((3,), {"a"})
    assert found.training.patience == 5


def test_a_change_removes_keys_of_the_base_that_it_turns_off(place: Path) -> None:
    assert loaded("base: base.yaml\ntraining: {augment: false}\n").training.augment_degrees is None
    text = "base: base.yaml\ntraining: {augment: false, augment_degrees: 9}\n"
    assert "training.augment_degrees would do nothing" in refusal(text)


def test_a_base_has_a_base_and_overrides_come_last(place: Path) -> None:
    loaded("base: base.yaml\nstudy: b\ntrials: 3\n", name="studies/middle.yaml")
    found = loaded("base: middle.yaml\ntrials: 4\n", "trials=5", "training.augment=false")
    assert (found.study, found.trials, found.training.augment_degrees) == ("b", 5, None)


def test_old_spellings_change_new_ones_and_the_other_way_round(place: Path) -> None:
    loaded(BASE + "search: {tuned: [all, head]}\n", name="studies/base.yaml")
    found = loaded("base: base.yaml\nsearch: {tuning: [layer1]}\ntraining: {tuned: head}\n", "training.tuning=layer2")
    assert (found.search.tuning, found.training.tuning) == (("layer1",), "layer2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: study.yaml\n", "base leads back to the same file: studies/study.yaml -> studies/study.yaml"),
        ("base: nothing.yaml\n", "base: there is no study file nothing.yaml. Give a path relative to studies"),
        ("base: [base.yaml]\n", "base: input should be the path of a study file, but got ['base.yaml']"),
        ("base: base.yaml\ntraining: {patence: 3}\n", "unknown key 'training.patence'"),
    ],
)
def test_a_base_that_cannot_be_used_is_refused(place: Path, text: str, message: str) -> None:
    found = refusal(text)
    assert found.startswith("studies/study.yaml: ")
    assert message in found


def test_files_that_are_each_others_base_are_refused(place: Path) -> None:
    loaded_text = "base: ../studies/study.yaml\n"
    Path("studies/base.yaml").write_text(loaded_text)
    assert "studies/study.yaml -> studies/base.yaml -> studies/../studies/study.yaml" in refusal("base: base.yaml\n")


TEXT = """\
study: a
data: data/mine
weights: model.mdl
training: {pretext: reverse}
pretraining: {data: [data/mine, smartwatch, data/there]}
evaluation: {methods: {a: {weights: model.mdl}, b: {weights: hub}, c: {weights: none}, d: {weights: 'runs:/1'}}}
"""


def test_paths_are_relative_to_the_file(place: Path) -> None:
    (place / "studies" / "data" / "mine").mkdir(parents=True)
    (place / "studies" / "model.mdl").touch()
    (place / "studies" / "none").touch()
    (place / "data" / "there").mkdir(parents=True)
    found = loaded(TEXT)
    mine, weights = str(place / "studies/data/mine"), str(place / "studies/model.mdl")
    assert (found.data, found.weights) == (mine, weights)
    assert found.pretraining.data == (mine, "smartwatch", "data/there")
    assert found.evaluation is not None
    given = [method.weights for method in found.evaluation.methods.values()]
    assert given == [weights, "hub", "none", "runs:/1"]


def test_paths_that_are_not_beside_the_file_stay_as_they_are(place: Path) -> None:
    (place / "data" / "mine").mkdir(parents=True)
    found = loaded(TEXT)
    assert (found.data, found.weights) == ("data/mine", "model.mdl")


def test_paths_stay_as_they_are_where_the_file_is_in_the_working_directory(place: Path) -> None:
    (place / "data" / "mine").mkdir(parents=True)
    assert loaded(TEXT, name="study.yaml").data == "data/mine"


def test_paths_of_an_override_are_relative_to_the_working_directory(place: Path) -> None:
    (place / "studies" / "data" / "mine").mkdir(parents=True)
    assert loaded(BASE, "data=data/mine").data == "data/mine"


@pytest.mark.parametrize(("file", "expected"), [("REPORT.md", "smartwatch"), ("X.npy", "{place}/studies/smartwatch")])
def test_a_source_is_not_a_folder_of_that_name_without_data(place: Path, file: str, expected: str) -> None:
    (place / "studies" / "smartwatch").mkdir()
    (place / "studies" / "smartwatch" / file).touch()
    assert loaded(BASE).data == expected.format(place=place)


def test_paths_of_a_base_are_relative_to_the_base(place: Path) -> None:
    (place / "shared" / "data").mkdir(parents=True)
    (place / "shared" / "data" / "X.npy").touch()
    loaded("study: a\ndata: data\n", name="shared/base.yaml")
    assert loaded("base: ../shared/base.yaml\nstudy: b\n").data == str(place / "shared" / "data")
