"""A study file becomes validated settings; what is wrong with it is said in one sentence that names the key."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sslwear.config import (
    EvaluationSettings,
    LogRange,
    MethodSettings,
    PretrainingSettings,
    PrunerSettings,
    SamplerSettings,
    SearchSettings,
    Settings,
    SplitSettings,
    TrainingSettings,
    from_yaml,
    load,
    parse,
)
from sslwear.errors import SettingsError

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"
MINIMAL = "study: a\ndata: smartwatch\n"

shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
positives = st.floats(0, exclude_min=True, allow_infinity=False)
counts = st.integers(1, 10**6)
batch_sizes = st.integers(2, 10**6)


def choices(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(of, min_size=1, max_size=4, unique=True).map(tuple)


def ranges() -> st.SearchStrategy[LogRange | None]:
    pairs = st.lists(positives, min_size=2, max_size=2, unique=True).map(sorted)
    return st.none() | pairs.map(lambda pair: LogRange(low=pair[0], high=pair[1]))


def methods() -> st.SearchStrategy[MethodSettings]:
    keys = {
        "tuning": st.text(),
        "learning_rate": positives,
        "pretext": st.text(),
        "weights": st.none() | st.just("hub"),
    }
    return st.fixed_dictionaries({}, optional=keys).map(MethodSettings.model_validate)


texts = st.text().filter(lambda text: not text.startswith("~") and not set(text) <= {".", "/"})
"""Texts that are no path of a folder."""
augments = st.booleans() | st.sampled_from(["noise", "rotate(20)", "rotate(20)+scale(0.1)"])
all_settings = st.builds(
    Settings,
    study=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    data=texts,
    encoder=st.text(),
    weights=texts,
    trials=counts,
    objective=st.sampled_from(["kappa", "f1"]),
    seed=st.integers(0, 2**31 - 1),
    device=st.sampled_from(["auto", "cpu", "mps", "cuda", "cuda:1"]),
    precision=st.sampled_from(["auto", "float32", "bf16"]),
    split=st.builds(SplitSettings, test=shares, test_seed=counts, validation=shares, validation_seed=counts),
    training=st.builds(
        TrainingSettings,
        tuning=st.text(),
        learning_rate=positives,
        batch_size=batch_sizes,
        augment=augments,
        pretext=st.text(),
        class_weights=st.booleans(),
        max_epochs=counts,
        patience=counts,
    ),
    pretraining=st.builds(
        PretrainingSettings, learning_rate=positives, batch_size=batch_sizes, max_epochs=counts, patience=counts
    ),
    search=st.builds(
        SearchSettings,
        tuning=st.just("any") | choices(st.text()),
        learning_rate=ranges(),
        batch_size=choices(batch_sizes),
        augment=choices(augments),
        pretext=choices(st.text()),
    ),
    pruner=st.builds(
        PrunerSettings,
        name=st.just("median"),
        startup_trials=st.integers(0, 100),
        warmup_epochs=st.integers(0, 100),
    )
    | st.builds(PrunerSettings, name=st.just("halving"), warmup_epochs=st.just(0), reduction_factor=st.integers(2, 9)),
    sampler=st.builds(SamplerSettings, startup_trials=st.integers(0, 100)),
    threads=st.just("auto") | counts,
    evaluation=st.none()
    | st.builds(
        EvaluationSettings,
        protocol=st.sampled_from(["hold_out", "k_fold", "leave_one_out"]),
        seeds=st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).map(tuple),
        methods=st.fixed_dictionaries(
            {"one": methods(), "other one": methods()},
            optional={
                "best": st.just(MethodSettings(select_on_validation=("one", "other one"))),
                "forest": st.just(MethodSettings(baseline="random_forest")),
            },
        ),
        baselines=st.sampled_from(["all", "none"]) | st.lists(st.text(), min_size=1, unique=True).map(tuple),
        smoothing=st.sampled_from(["none", "hmm"]),
        keep_checkpoints=st.booleans(),
    ),
)


def study_file(folder: Path, text: str = MINIMAL) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_quickstart_loads() -> None:
    settings = load(EXPERIMENTS / "quickstart.yaml")
    assert (settings.study, settings.data) == ("quickstart", "smartwatch")
    assert settings.search.learning_rate == LogRange(low=1e-3, high=1e-2)
    assert settings.training.augment == "rotate(20)+scale(0.1)+tempo(0.15)"
    assert len(settings.search.choices("tuning")) == 5


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_study_file_of_the_project_loads_under_its_own_name(path: Path) -> None:
    assert load(path).study == path.stem


def test_keys_that_are_left_out_have_the_published_protocols_values(tmp_path: Path) -> None:
    settings = load(study_file(tmp_path))
    assert settings == Settings(study="a", data="smartwatch")
    assert settings.split == SplitSettings(test=0.2, test_seed=42, validation=None, validation_seed=41)
    assert settings.split.for_training().validation == 0.125
    assert settings.search == SearchSettings(
        tuning=None, learning_rate=None, batch_size=None, augment=None, pretext=None
    )


@given(settings=all_settings)
def test_to_yaml_is_read_back_as_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.yaml"
    path.write_text(settings.to_yaml())
    assert load(path) == parse(from_yaml(settings.to_yaml()), "a store") == settings


def test_settings_cannot_be_changed_after_they_were_read(tmp_path: Path) -> None:
    settings = load(study_file(tmp_path))
    with pytest.raises(ValidationError):
        settings.trials = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "substance"),
    [
        ("learning_rate: 1", ["unknown key 'learning_rate'", "Allowed here are study, data, encoder, weights, trials"]),
        ("training: {max_epoch: 3}", ["unknown key 'training.max_epoch'", "learning_rate", "max_epochs, patience"]),
        (
            "search: {learning_rate: {low: 1, high: 2, size: 1}}",
            ["'search.learning_rate.size'", "low, high, step, log"],
        ),
        ("search: {learning_rate: {low: 1}}", ["'search.learning_rate.high' is missing"]),
        (
            "search: {learning_rate: {min: 1, max: 2}}",
            ["'search.learning_rate.low' is missing", "'search.learning_rate.min' is unknown"],
        ),
        ("trials: 0", ["trials: ", "greater than or equal to 1", "got 0"]),
        ("trials: 2.5", ["trials: ", "integer", "got 2.5"]),
        ("trials: many", ["trials: ", "integer", "got 'many'"]),
        ("seed: -1", ["seed: ", "greater than or equal to 0", "got -1"]),
        ("seed: 2147483648", ["seed: ", "less than 2147483648", "got 2147483648"]),
        ("objective: accuracy", ["objective: ", "'kappa' or 'f1'", "got 'accuracy'"]),
        ("precision: fp16", ["precision: ", "'auto', 'float32' or 'bf16'", "got 'fp16'"]),
        ("device: gpu", ["device: ", "auto, cpu, cuda, cuda:N or mps", "got 'gpu'"]),
        ("device: 'cuda:'", ["device: ", "cuda:N", "got 'cuda:'"]),
        ("encoder: 10", ["encoder: ", "text, in quotes", "got 10"]),
        ("split: {test: 0}", ["split.test: ", "greater than 0", "got 0"]),
        ("split: {test: 1}", ["split.test: ", "less than 1", "got 1"]),
        ("split: {validation: .nan}", ["split.validation: ", "got nan"]),
        ("training: {learning_rate: 0}", ["training.learning_rate: ", "greater than 0", "got 0"]),
        ("training: {learning_rate: .inf}", ["training.learning_rate: ", "finite", "got inf"]),
        ("training: {batch_size: 1}", ["training.batch_size: ", "greater than or equal to 2", "got 1"]),
        (
            "training: {augment: 3}",
            ["training.augment: input should be true, false, ", "list of such texts, but got 3"],
        ),
        ("training: {patience: 0}", ["training.patience: ", "greater than or equal to 1", "got 0"]),
        ("training: 3", ["training: ", "section with the keys optimizer, weight_decay", "got 3"]),
        ("training:", ["training: ", "section with the keys optimizer, weight_decay", "got no value"]),
        ("pretraining: {max_epochs: 0}", ["pretraining.max_epochs: ", "greater than or equal to 1", "got 0"]),
        (
            "pruner: {name: best}",
            ["pruner.name: ", "'median', 'halving', 'hyperband', 'folds' or 'none'", "got 'best'"],
        ),
        (
            "pruner: {name: none, startup_trials: 3}",
            ["pruner: startup_trials is for median only; leave it out with none"],
        ),
        ("pruner: {reduction_factor: 4}", ["reduction_factor is for halving and hyperband only; leave it out"]),
        ("pruner: {name: halving, reduction_factor: 1}", ["pruner.reduction_factor: ", "greater than or equal to 2"]),
        (
            "pruner: {name: hyperband, warmup_epochs: 4}\ntraining: {max_epochs: 4}",
            [": pruner.warmup_epochs is 4 and training.max_epochs 4, which leaves hyperband nothing to end"],
        ),
        (
            "pruner: {name: halving, warmup_epochs: 5}\ntraining: {max_epochs: 4}",
            ["training.max_epochs 4, which leaves halving nothing to end"],
        ),
        ("threads: 0", ["threads: ", "auto or a number of cores", "got 0"]),
        ("threads: all", ["threads: ", "auto or a number of cores", "got 'all'"]),
        (
            "training: {warmup_epochs: 4, max_epochs: 4}",
            [": training.warmup_epochs is 4 and max_epochs 4, so the learning rate would never reach its value"],
        ),
        (
            "training: {pretext: reverse}\npretraining: {warmup_epochs: 20}",
            [": pretraining.warmup_epochs is 20 and max_epochs 20, so"],
        ),
        (
            "training: {warmup_epochs: 4}\nsearch: {training.max_epochs: {low: 2, high: 4}}",
            [": training.warmup_epochs is 4 and max_epochs 4, so"],
        ),
        (
            "training: {max_epochs: 3}\nsearch: {training.warmup_epochs: [0, 5]}",
            [": training.warmup_epochs is 5 and max_epochs 3, so"],
        ),
        (
            "training: {schedule: one_cycle, warmup_epochs: 50}\nsearch: {training.schedule: [one_cycle, cosine]}",
            [": training.warmup_epochs is 50 and max_epochs 50, so"],
        ),
        (
            "training: {warmup_epochs: 4}\nevaluation: {methods: {one: {}, short: {max_epochs: 4}}}",
            ["evaluation.methods: 'short': warmup_epochs is 4 and max_epochs 4, so"],
        ),
        ("pruner: {warmup_epochs: -1}", ["pruner.warmup_epochs: ", "greater than or equal to 0", "got -1"]),
        ("search: {learning_rate: 1e-3}", ["search.learning_rate: ", "a list of values, or a range such as"]),
        ("search: {learning_rate: {low: 2, high: 1}}", ["search.learning_rate: low must be less than high", "2 and 1"]),
        ("search: {learning_rate: {low: 1, high: 1}}", ["search.learning_rate: low must be less than high", "1 and 1"]),
        ("search: {learning_rate: {low: 0, high: 1}}", ["search.learning_rate.low: ", "greater than 0", "got 0"]),
        ("search: {batch_size: [64, 1]}", ["search.batch_size.1: ", "greater than or equal to 2", "got 1"]),
        ("search: {batch_size: []}", ["search.batch_size: ", "at least one choice"]),
        ("search: {batch_size: [32, 32]}", ["search.batch_size: ", "given twice"]),
        ("search: {augment: [true, 1]}", ["search.augment: ", "given twice"]),
        ("search: {augment: [true, rotation]}", ["search.augment: ", "given twice"]),
        ("search: {augment: [true, 3]}", ["search.augment.1: input should be true, false, ", "but got 3"]),
        ("search: {tuning: all}", ["search.tuning: ", "'any' or a list such as [all, head, layer4-5]", "got 'all'"]),
        ("search: {tuning: [4]}", ["search.tuning: ", "'any' or a list such as [all, head, layer4-5]", "got [4]"]),
        ("search: {tuning: []}", ["search.tuning: ", "at least one choice"]),
        ("search: {pretext: none}", ["search.pretext: input should be a list, but got 'none'"]),
        ("3: 4", ["3: keys should be strings"]),
        ("evaluation: {}", ["the key 'evaluation.methods' is missing; add it"]),
        ("evaluation: {methods: {}}", ["evaluation.methods: ", "{first block: {tuning: layer1}}", "got {}"]),
        ("evaluation: {methods: [a]}", ["evaluation.methods: ", "{first block: {tuning: layer1}}", "got ['a']"]),
        (
            "evaluation: {methods: {a: {x: 1}}}",
            [
                "unknown key 'evaluation.methods.a.x'",
                "tuning",
                "select_on_validation, ensemble, over_seeds, search, trials, baseline, probe, encoder",
            ],
        ),
        ("evaluation: {methods: {tuning: }}", ["evaluation.methods.tuning: ", "section with the keys optimizer"]),
        ("evaluation: {methods: {a: }}", ["evaluation.methods.a: ", "section with the keys optimizer", "got no value"]),
        ("evaluation: {methods: {a: {tuning: 3}}}", ["evaluation.methods.a.tuning: ", "text, in quotes", "got 3"]),
        ("evaluation: {methods: {a''b: {}}}", ["evaluation.methods.a''b: a method's name should be of letters"]),
        (
            "evaluation: {methods: {a: {baseline: random_forest, tuning: all}}}",
            ["evaluation.methods.a: baseline cannot be combined with tuning"],
        ),
        (
            "evaluation: {methods: {a: {probe: logistic, tuning: all}}}",
            ["evaluation.methods.a: probe cannot be combined with tuning"],
        ),
        (
            "evaluation: {methods: {a: {probe: logistic, encoder: mine, weights: hub}}}",
            ["evaluation.methods.a: probe with encoder cannot be combined with weights"],
        ),
        ("evaluation: {methods: {a: {encoder: mine}}}", ["evaluation.methods.a: encoder is for probes only"]),
        ("evaluation: {methods: {a: {probe: ridge}}}", ["evaluation.methods.a.probe: ", "logistic"]),
        ("evaluation: {methods: {a: {probe: }}}", ["evaluation.methods.a: probe is empty"]),
        (
            "evaluation: {methods: {a: {}, b: {probe: logistic}, c: {select_on_validation: [a, b]}}}",
            ["'c' names 'b', which is none of the methods that train a network without a"],
        ),
        ("evaluation: {methods: {a: {choose: }}}", ["evaluation.methods.a: select_on_validation is empty"]),
        ("evaluation: {methods: {a: {}, b: {select_on_validation: [a]}}}", ["two or more different methods"]),
        (
            "evaluation: {methods: {a: {}, b: {select_on_validation: [a, c]}}}",
            ["methods: 'b' names 'c', which is none of the methods that train a network without a search: a"],
        ),
        ("evaluation: {methods: {a: {}}, folds: 1}", ["evaluation.folds: ", "greater than or equal to 2", "got 1"]),
        (
            "evaluation: {methods: {a: {}}, protocol: hold_out, folds: 3}",
            ["evaluation: folds is for k_fold only; leave it out with hold_out"],
        ),
        ("evaluation: {methods: {a: {}}, protocol: loo}", ["evaluation.protocol: ", "'leave_one_out'", "got 'loo'"]),
        ("evaluation: {methods: {a: {}}, seeds: [1, 1]}", ["evaluation.seeds: a seed is given twice"]),
        ("evaluation: {methods: {a: {}}, seeds: []}", ["evaluation.seeds: ", "at least one seed"]),
        ("evaluation: {methods: {a: {}}, smoothing: mean}", ["evaluation.smoothing: ", "'none' or 'hmm'"]),
        (
            "evaluation: {methods: {a: {}, b: {tuning: head}, c: {ensemble: [a, b]}, d: {ensemble: [a, c]}}}",
            ["'d' names 'c', which is none of the methods that train a network, or are baselines or probes: a, b"],
        ),
        (
            "evaluation: {methods: {a: {}, b: {baseline: random_forest}, c: {select_on_validation: [a, b]}}}",
            ["methods: 'c' names 'b', which is none of the methods that train a network without a search: a"],
        ),
        (
            "evaluation: {methods: {a: {}}, baselines: []}",
            ["evaluation.baselines: give names of baselines"],
        ),
        ("evaluation: {methods: {a: {}}, baselines: [a, a]}", ["evaluation.baselines: a baseline is given twice"]),
        ("evaluation: {methods: {a: {}}, baselines: 3}", ["evaluation.baselines: ", "got 3"]),
        ("evaluation: {methods: {a: {}}, baselines: }", ["evaluation.baselines: ", "got no value"]),
        ("evaluation: {methods: {a: {}, b: {ensemble: [a]}}}", ["ensemble must list two or more different methods"]),
        ("evaluation: {methods: {a: {over_seeds: true}}}", ["over_seeds is for ensembles; add ensemble"]),
        (
            "evaluation: {methods: {a: {}, b: {ensemble: [a], over_seeds: true}}}",
            ["'b' averages over seeds, and there is one seed only; add seeds"],
        ),
        (
            "evaluation: {methods: {a: {}, b: {tuning: head}, c: {ensemble: [a, b]}}, smoothing: hmm}",
            ["evaluation: smoothing is not for methods with ensemble; leave one of them out"],
        ),
        (
            "evaluation: {methods: {a: {}}, refit: true, keep_checkpoints: true}",
            ["evaluation: keep_checkpoints keeps networks before the refit; leave it or refit out"],
        ),
    ],
)
def test_wrong_values_are_refused_with_the_key_and_what_is_allowed(
    tmp_path: Path, text: str, substance: list[str]
) -> None:
    path = study_file(tmp_path, MINIMAL + text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    for words in substance:
        assert words in message


@pytest.mark.parametrize(
    ("text", "substance"),
    [
        ("study: a", "'data' is missing"),
        ("data: smartwatch", "'study' is missing"),
        (
            "study: a b\ndata: x",
            "study: input should be a name of letters, digits, '.', '_' and '-' that starts with a letter or a digit, "
            "but got 'a b'",
        ),
        (
            "study: ../a\ndata: x",
            "study: input should be a name of letters, digits, '.', '_' and '-' that starts with a letter or a digit, "
            "but got '../a'",
        ),
        (f"study: {'a' * 101}\ndata: x", "study: input should have at most 100 characters, but has 101: 'aaa"),
        ("", "must be a YAML mapping that starts with 'study:' and 'data:'"),
        ("- study\n- data", "must be a YAML mapping that starts with 'study:' and 'data:'"),
        ("quickstart", "must be a YAML mapping that starts with 'study:' and 'data:'"),
        ("study: a\ndata: [", "is not YAML: expected the node content, but found '<stream end>' in line 2"),
        ("study: a\ndata: x\n\ttrials: 3", "is not YAML: found character '\\t' that cannot start any token in line 3"),
        ("study: !!python/object/apply:os.getcwd []\ndata: x", "is not YAML: "),
        ("study: a\nstudy: b\ndata: x", "twice"),
        ("study: a\ndata: x\ntraining:\n  patience: 3\n  patience: 4", "twice"),
    ],
)
def test_files_that_are_no_study_are_refused(tmp_path: Path, text: str, substance: str) -> None:
    path = study_file(tmp_path, text)
    message = refusal(path)
    assert str(path) in message
    assert substance in message


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("study: a\ndata: x\nstudy: b", "study", 3),
        ("study: a\ndata: x\ntraining:\n  tuning: all\n  patience: 3\n  patience: 4", "patience", 6),
    ],
)
def test_key_that_is_given_twice_is_named_with_its_line(tmp_path: Path, text: str, key: str, line: int) -> None:
    message = refusal(study_file(tmp_path, text))
    assert f"'{key}'" in message
    assert message.endswith(f"in line {line}")


@pytest.mark.parametrize("value", ["2024-02-30", "0b_"])
@pytest.mark.parametrize("where", ["file", "override"])
def test_scalars_that_yaml_itself_cannot_read_are_refused(tmp_path: Path, value: str, where: str) -> None:
    overrides = [f"data={value}"] if where == "override" else []
    path = study_file(tmp_path, MINIMAL if overrides else f"study: a\ndata: {value}")
    assert value in refusal(path, *overrides)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("tuple_size: 1", "tuple_size"),
        ("'tuned[0]': 1", "tuned[0]"),
        ("search: {learning_rate: {low: 1, high: 2, literal: 1}}", "search.learning_rate.literal"),
    ],
)
def test_unknown_key_is_named_whatever_it_looks_like(tmp_path: Path, text: str, key: str) -> None:
    assert f"unknown key {key!r}" in refusal(study_file(tmp_path, MINIMAL + text))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("trials: true", "trials"),
        ("seed: false", "seed"),
        ("training: {learning_rate: true}", "training.learning_rate"),
    ],
)
def test_booleans_are_not_numbers(tmp_path: Path, text: str, key: str) -> None:
    assert f"{key}: " in refusal(study_file(tmp_path, MINIMAL + text))


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    text = "training: &fast {max_epochs: 3, patience: 2}\nevaluation: {methods: {a: {<<: *fast, patience: 1}}}\n"
    evaluation = load(study_file(tmp_path, MINIMAL + text)).evaluation
    assert evaluation is not None
    assert evaluation.methods["a"].model_dump() == {"max_epochs": 3, "patience": 1}


def test_a_method_says_only_what_differs(tmp_path: Path) -> None:
    text = "evaluation: {methods: {same: {}, first block: {tuning: layer1, weights: hub}}}\ntraining: {patience: 9}\n"
    evaluation = load(study_file(tmp_path, MINIMAL + text)).evaluation
    assert evaluation is not None
    given = {name: method.model_dump() for name, method in evaluation.methods.items()}
    assert given == {"same": {}, "first block": {"tuning": "layer1", "weights": "hub"}}
    assert (evaluation.protocol, evaluation.folds, evaluation.seeds) == ("k_fold", 5, (42,))


@pytest.mark.parametrize(
    "text",
    [
        "training: {warmup_epochs: 4, max_epochs: 5}",
        "training: {warmup_epochs: 4, max_epochs: 3}\nsearch: {training.max_epochs: [2, 8]}",
        "training: {max_epochs: 5}\nsearch: {training.warmup_epochs: {low: 0, high: 4}}",
        "training: {warmup_epochs: 4}\nevaluation: {methods: {one: {}, cycle: {schedule: one_cycle, max_epochs: 4}}}",
    ],
)
def test_a_warm_up_that_ends_in_some_training_is_read(tmp_path: Path, text: str) -> None:
    assert load(study_file(tmp_path, MINIMAL + text)).study == "a"


def test_missing_file_is_refused_with_an_example(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nothing.yaml")
    assert f"there is no study file {tmp_path / 'nothing.yaml'}" in message
    assert "experiments/quickstart.yaml" in message


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path} cannot be read" in refusal(tmp_path)


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"\xff\xfe\xff")
    assert "cannot be read" in refusal(tmp_path / "study.yaml")


def test_parse_says_where_settings_come_from() -> None:
    with pytest.raises(SettingsError, match=r"^run 1234: the key 'data' is missing"):
        parse({"study": "a"}, "run 1234")


@pytest.mark.parametrize("text", ["1e-3", "3e-4", "1E-3", "0.001", "1", "1.5e+2"])
def test_numbers_may_be_written_with_an_exponent(tmp_path: Path, text: str) -> None:
    in_file = load(study_file(tmp_path, MINIMAL + f"training: {{learning_rate: {text}}}"))
    in_override = load(study_file(tmp_path), [f"training.learning_rate={text}"])
    assert in_file.training.learning_rate == in_override.training.learning_rate == float(text)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["trials=7"], {"trials": 7}),
        ([" trials = 7 "], {"trials": 7}),
        (["trials=7", "trials=8"], {"trials": 8}),
        (["data=some/folder=1"], {"data": "some/folder=1"}),
        (["study='7'"], {"study": "7"}),
        (["training.max_epochs=3"], {"training": TrainingSettings(patience=9, max_epochs=3)}),
        (["training.augment=true"], {"training": TrainingSettings(patience=9, augment=True)}),
        (["training.patience=2", "split.test=0.3"], {"training": {"patience": 2}, "split": {"test": 0.3}}),
        (["training={tuning: head}"], {"training": TrainingSettings(tuning="head")}),
        (["search.batch_size=[32, 64]"], {"search": SearchSettings(batch_size=(32, 64))}),
        (["search.tuning=any"], {"search": SearchSettings(tuning="any")}),
        (["search.augment=null"], {"search": SearchSettings()}),
        (
            ["search.training.dropout=[0, 0.2]"],
            {"search": SearchSettings.model_validate({"training.dropout": (0, 0.2)})},
        ),
        (
            ['search."training.dropout"=[0, 0.2]'],
            {"search": SearchSettings.model_validate({"training.dropout": (0, 0.2)})},
        ),
        (["search.training.batch_size=[32, 64]"], {"search": SearchSettings(batch_size=(32, 64))}),
        (
            ["training.pretext=reverse", "search.pretraining.patience.low=1", "search.pretraining.patience.high=3"],
            {
                "training": TrainingSettings(patience=9, pretext="reverse"),
                "search": SearchSettings.model_validate({"pretraining.patience": {"low": 1, "high": 3}}),
            },
        ),
        (
            ["search.learning_rate.low=1e-3", "search.learning_rate.high=3e-2"],
            {"search": SearchSettings(learning_rate=LogRange(low=1e-3, high=3e-2))},
        ),
    ],
)
def test_overrides_nest_and_are_yaml(tmp_path: Path, overrides: list[str], expected: dict[str, Any]) -> None:
    path = study_file(tmp_path, MINIMAL + "training: {patience: 9}\nsplit:\n")
    complete = {"study": "a", "data": "smartwatch", "training": {"patience": 9}, "split": {}} | expected
    overrides = [*overrides, "split.test_seed=42"]
    assert load(path, overrides) == Settings.model_validate(complete)


@pytest.mark.parametrize(
    ("override", "substance"),
    [
        ("max_epochs", "--set max_epochs: write key=value, for example --set training.max_epochs=3"),
        ("=3", "--set =3: write key=value"),
        ("", "write key=value"),
        ("study.name=b", "--set study.name=b: study has no keys below it"),
        ("training.patience.epochs=3", "--set training.patience.epochs=3: patience has no keys below it"),
        ("data=[", "--set data=[: '[' is not a YAML value"),
        ("training={patience: 1, patience: 2}", "is not a YAML value"),
        ("training.max_epoch=3", "unknown key 'training.max_epoch'. Did you mean training.max_epochs? Allowed here"),
        ("training.epochs_without=3", "unknown key 'training.epochs_without'; allowed here are optimizer"),
        ("training.trials=3", "unknown key 'training.trials'. Did you mean trials? Allowed here are optimizer"),
        ("tuning=all", "unknown key 'tuning'. Did you mean training.tuning or search.tuning? Allowed here are study"),
        ("folds=3", "unknown key 'folds'. Did you mean split.folds or evaluation.folds? Allowed here are study"),
        ("trials=x", "trials: input should be a valid integer"),
        ("training.max_epochs=", "training.max_epochs: input should be a valid integer, but got no value"),
    ],
)
def test_bad_overrides_are_refused(tmp_path: Path, override: str, substance: str) -> None:
    assert substance in refusal(study_file(tmp_path, MINIMAL + "training: {patience: 9}"), override)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_overrides_reach_methods_whose_names_have_dots_and_spaces(tmp_path: Path, quote: str) -> None:
    text = "evaluation: {methods: {a.b: {tuning: head}, first block: {}, tuned: {}, tuning: {}}}\n"
    overrides = [
        f"evaluation.methods.{quote}a.b{quote}.tuning=all",
        "evaluation.methods.first block.max_epochs=3",
        f"evaluation . methods . {quote}new (1.5){quote} = {{tuned: layer1}}",
        "evaluation.methods.tuned.learning_rate=1e-3",
    ]
    evaluation = load(study_file(tmp_path, MINIMAL + text), overrides).evaluation
    assert evaluation is not None
    assert {name: method.model_dump() for name, method in evaluation.methods.items()} == {
        "a.b": {"tuning": "all"},
        "first block": {"max_epochs": 3},
        "tuned": {"learning_rate": 1e-3},
        "tuning": {},
        "new (1.5)": {"tuning": "layer1"},
    }


def test_overrides_reach_the_search_of_a_method(tmp_path: Path) -> None:
    text = "evaluation: {methods: {search: {search: {tuning: [all, head]}, trials: 2}}}\n"
    override = "evaluation.methods.search.search.training.dropout=[0, 0.2]"
    evaluation = load(study_file(tmp_path, MINIMAL + text), [override]).evaluation
    assert evaluation is not None
    (method,) = evaluation.methods.values()
    assert method.search is not None
    assert method.search.space == {"tuning": ("all", "head"), "training.dropout": (0, 0.2)}


@pytest.mark.parametrize("override", ['a."b=1', 'a."".b=1', "a..b=1", '"a"b=1', "a.=1"])
def test_overrides_with_wrong_names_are_refused(tmp_path: Path, override: str) -> None:
    assert "write key=value" in refusal(study_file(tmp_path), override)


@pytest.mark.parametrize(("old", "new"), [("tuned", "tuning"), ("tuning", "tuned")])
def test_an_override_replaces_a_key_in_either_spelling(tmp_path: Path, old: str, new: str) -> None:
    path = study_file(tmp_path, MINIMAL + f"training: {{{old}: head}}\nsearch: {{{old}: [all, head]}}\n")
    settings = load(path, [f"training.{new}=layer1", f"search.{new}=any"])
    assert (settings.training.tuning, settings.search.tuning) == ("layer1", "any")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("training: {tuned: head, tuning: head}", "training: tuned is another spelling of tuning"),
        ("search: {tuned: any, tuning: any}", "search: tuned is another spelling of tuning"),
        (
            "evaluation: {methods: {a: {}, b: {}, c: {choose: [a, b], select_on_validation: [a, b]}}}",
            "evaluation.methods.c: choose is another spelling of select_on_validation",
        ),
    ],
)
def test_both_spellings_of_a_key_are_refused(tmp_path: Path, text: str, key: str) -> None:
    assert f"{key}, and both are given" in refusal(study_file(tmp_path, MINIMAL + text))


def test_old_spellings_are_read_from_files_and_stores(tmp_path: Path) -> None:
    text = (
        "training: {tuned: head}\nsearch: {tuned: [all, head]}\n"
        "evaluation: {methods: {a: {tuned: layer1}, b: {}, c: {choose: [a, b]}}}\n"
    )
    for settings in (load(study_file(tmp_path, MINIMAL + text)), parse(from_yaml(MINIMAL + text), "a store")):
        assert (settings.training.tuning, settings.search.tuning) == ("head", ("all", "head"))
        assert settings.evaluation is not None
        assert settings.evaluation.methods["a"].tuning == "layer1"
        assert settings.evaluation.methods["c"].select_on_validation == ("a", "b")
        assert "tuned" not in settings.to_yaml()


def test_null_removes_a_key(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("study: a\ndata: b\nsearch: {tuning: [all, head]}\nevaluation: {methods: {a.b: {}, c: {}}}\n")
    settings = load(path, ["search=null", 'evaluation.methods."a.b"=null', "training.augment_degrees=null"])
    assert settings.search.tuning is None
    assert settings.evaluation is not None
    assert list(settings.evaluation.methods) == ["c"]
    with pytest.raises(SettingsError, match="unknown key 'serach'"):
        load(path, ["serach=null"])
