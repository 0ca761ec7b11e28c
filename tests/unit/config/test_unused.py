"""Keys that would do nothing are refused with the reason; what an override turns off takes its keys with it."""

from pathlib import Path
from typing import Any

import pytest

from sslwear.config import PrunerSettings, Settings, SplitSettings, TrainingSettings, from_python, load, parse
from sslwear.config.loading import with_effect
from sslwear.config.unused import COMMANDS, SECTIONS, Command
from sslwear.errors import SettingsError

MINIMAL = "study: a\ndata: smartwatch\n"
PROBE = "evaluation: {methods: {a: {probe: logistic}}}\n"
FOREIGN = "evaluation: {methods: {a: {probe: logistic, encoder: mine}}}\n"
EVALUATION = "evaluation: {methods: {a: {}}}\n"
LEFT_OUT = "evaluation: {methods: {a: {}}, protocol: leave_one_out}\n"
NESTED = "evaluation: {methods: {a: {search: {tuning: [all, head]}, trials: 2}}}\n"
SEARCH = "search: {batch_size: [32, 64]}\n"
SECOND = "second_objective: trainable_parameters\n"


def loaded(folder: Path, text: str, *overrides: str, command: Command | None = None) -> Settings:
    path = folder / "study.yaml"
    path.write_text(MINIMAL + text)
    return load(path, overrides, command)


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("training: {augment_degrees: 20}", "training.augment_degrees", "windows are not augmented (augment: true)"),
        ("training: {augment: false, augmented_views: 4}", "training.augmented_views", "not augmented"),
        ("training: {augmented_views: 8}", "training.augmented_views", "not augmented"),
        ("training: {augment_degrees: 20}\nsearch: {augment: [false]}", "training.augment_degrees", "not augmented"),
        ("training: {augment: noise, augment_degrees: 20}", "training.augment_degrees", "it is for augment: true"),
        (
            "training: {augment: rotate(9), augment_degrees: 20}",
            "training.augment_degrees",
            "rotate has its own number",
        ),
        (
            "training: {augment: [rotation, scale], augment_degrees: 20}",
            "training.augment_degrees",
            "for augment: true",
        ),
        ("training: {augment: [scale], augmented_views: 4}", "training.augmented_views", "never frozen (tuning: all)"),
        (
            "training: {augment_degrees: 20}\nsearch: {augment: [[rotate(5), scale], jitter]}",
            "training.augment_degrees",
            "for augment: true",
        ),
        ("training: {augment: true, augmented_views: 4}", "training.augmented_views", "never frozen (tuning: all)"),
        (
            "training: {augment: true}\nevaluation: {methods: {a.b: {augment: false, augment_degrees: 9}}}",
            "evaluation.methods.a.b.augment_degrees",
            "not augmented",
        ),
        ("evaluation: {methods: {a: {augment_degrees: 9}}}", "evaluation.methods.a.augment_degrees", "not augmented"),
        (
            "evaluation: {methods: {a: {augment: true, augmented_views: 9}}}",
            "evaluation.methods.a.augmented_views",
            "never frozen",
        ),
        ("pretraining: {max_epochs: 3}", "pretraining", "there is no pretext task"),
        ("search: {pretext: [none]}\npretraining: {data: x}", "pretraining", "there is no pretext task"),
        (
            "training: {pretext: reverse}\npretraining: {windows_per_participant: 1500}",
            "pretraining.windows_per_participant",
            "there is no pretraining.data",
        ),
        (
            "training: {pretext: reverse}\npretraining: {sampling: uniform, participants_at_a_time: 4}",
            "pretraining.participants_at_a_time",
            "there is no pretraining.data",
        ),
        ("pruner: {warmup_epochs: 3}", "pruner", "nothing is searched"),
        ("sampler: {startup_trials: 3}", "sampler", "nothing is searched"),
        ("constraint: {trainable_parameters: 9}", "constraint", "nothing is searched"),
        ("select: simplest", "select", "nothing is searched"),
        (SEARCH + "pruner: {name: none, warmup_epochs: 3}", "pruner.warmup_epochs", "the pruner is none"),
        (SEARCH + "pruner: {reduction_factor: 3}", "pruner.reduction_factor", "the pruner is median"),
        (SEARCH + "pruner: {name: halving, startup_trials: 5}", "pruner.startup_trials", "the pruner is halving"),
        (EVALUATION + "trials: 20", "trials", "the file has an evaluation and searches nothing"),
        (EVALUATION + "search: {augment: null}\ntrials: 20", "trials", "searches nothing"),
        (EVALUATION + "baseline: random_forest", "baseline", "the file has an evaluation and searches nothing"),
        (EVALUATION + "select: simplest", "select", "searches nothing"),
        (EVALUATION + "constraint: {trainable_parameters: 9}", "constraint", "searches nothing"),
        (EVALUATION + "second_objective: windows_per_second", "second_objective", "searches nothing"),
        (EVALUATION + "keep_checkpoints: true", "keep_checkpoints", "searches nothing"),
        (NESTED + "baseline: random_forest", "baseline", "only methods of the evaluation search"),
        (NESTED + "trials: 3", "trials", "only methods of the evaluation search"),
        (SEARCH + SECOND + "pruner: {name: halving}", "pruner", "no trial ends early with a second_objective"),
        (SEARCH + SECOND + "pruner: {p_value: 0.2}", "pruner", "no trial ends early with a second_objective"),
        (EVALUATION + "seed: 1", "seed", "evaluation.seeds"),
        (
            EVALUATION + "split: {test: 0.2}",
            "split.test",
            "each participant is tested once (evaluation.protocol: k_fold)",
        ),
        (LEFT_OUT + "split: {test: 0.2}", "split.test", "leave_one_out"),
        (LEFT_OUT + "split: {test_seed: 1}", "split.test_seed", "leave_one_out"),
        (EVALUATION + "split: {folds: 10}", "split.folds", "an evaluation has its own folds"),
        (LEFT_OUT + "split: {folds: 10, repeats: 2}", "split.folds", "an evaluation has its own folds"),
        ("evaluation: {methods: {a: {}}, protocol: hold_out, folds: 5}", "evaluation.folds", "hold_out"),
        (
            "evaluation: {methods: {a: {baseline: random_forest}}, refit: true}",
            "evaluation.refit",
            "no method trains a network",
        ),
        (
            "evaluation: {methods: {a: {probe: logistic}}, refit: true}",
            "evaluation.refit",
            "no method trains a network",
        ),
        (PROBE + "training: {patience: 3}", "training.patience", "no method trains a network"),
        (PROBE + "pretraining: {max_epochs: 3}", "pretraining", "there is no pretext task"),
        (FOREIGN + "weights: hub", "weights", "no method trains a network"),
        (FOREIGN + "training: {pretext: reverse}", "training", "no method trains a network"),
        (FOREIGN + "precision: bf16", "precision", "no method trains a network"),
        (FOREIGN + "checkpoint_minutes: 2", "checkpoint_minutes", "no method trains a network"),
        ("cache: {disk_gb: 0, memory_gb: 1}", "cache.memory_gb", "disk_gb is 0"),
        ("device: cpu\ncache: {device_gb: 1}", "cache.device_gb", "data is not copied to a graphics card"),
        ("split: {repeats: 2}", "split.repeats", "it needs split.folds (to keep it, add split.folds)"),
        ("split: {repeats: 2, validation: 0.2}", "split.repeats", "there are no folds (split.validation)"),
        ("split: {validation: 0.2}\nsearch: {tuning: [all]}\npruner: {p_value: 0.2}", "pruner.p_value", "no folds"),
        (
            "pruner: {name: none, p_value: 0.2}\nsearch: {tuning: [all]}",
            "pruner.p_value",
            "the pruner is none; the key is for median",
        ),
    ],
)
def test_a_key_that_would_do_nothing_is_refused(tmp_path: Path, text: str, key: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'study.yaml'}: {key} would do nothing, because ")
    assert reason in message
    assert message.endswith(". Remove it")


@pytest.mark.parametrize(
    "text",
    [
        "training: {augment: true, augment_degrees: 20}",
        "pretraining: {max_epochs: 3}\nevaluation: {methods: {a: {search: {pretext: [reverse]}, trials: 2}}}",
        "training: {augment_degrees: 20}\nevaluation: {methods: {a: {search: {augment: [true]}, trials: 2}}}",
        NESTED + "sampler: {startup_trials: 2}\npruner: {name: halving}",
        NESTED + "select: simplest\nconstraint: {trainable_parameters: 9}",
        NESTED + SEARCH + SECOND + "pruner: {name: halving}",
        SEARCH + "second_objective: null\npruner: {name: halving}",
        EVALUATION + SEARCH + "baseline: random_forest\nselect: simplest\nkeep_checkpoints: true\n" + SECOND,
        "training: {augment: rotation, augment_degrees: 20}",
        "training: {augment: [rotation], augment_degrees: 20}",
        "training: {augment_degrees: 20}\nsearch: {augment: [[rotate(5), scale], true]}",
        "training: {augment: [scale, jitter(0.02)], augmented_views: 4, tuning: head}",
        "training: {augment: noise, augmented_views: 4, tuning: head}",
        "training: {augment_degrees: 20}\nsearch: {augment: [noise, true]}",
        "training: {augment_degrees: 20}\nsearch: {augment: [true, false]}",
        "training: {augment_degrees: 20}\nevaluation: {methods: {a: {augment: true}}}",
        "training: {augment: true, augmented_views: 4, tuned: head}",
        "training: {augment: true, augmented_views: 4}\nsearch: {tuning: any}",
        "training: {augment: true, augmented_views: 4}\nevaluation: {methods: {a: {tuning: layer5}}}",
        "training: {augment: true}\nevaluation: {methods: {a: {augment_degrees: 9}}}",
        "training: {augment_degrees: null}",
        "pretraining: {max_epochs: 3}\nsearch: {pretext: [none, reverse]}",
        "pretraining: {max_epochs: 3}\nevaluation: {methods: {a: {}, b: {pretext: reverse}}}",
        "training: {pretext: reverse}\npretraining: {data: x, windows_per_participant: 9, sampling: uniform}",
        "training: {pretext: reverse}\npretraining: {sampling: motion, participants_at_a_time: 4}",
        EVALUATION + SEARCH + "trials: 3\nsampler: {startup_trials: 1}\nseed: 3\nsplit: {test: 0.3}",
        EVALUATION + "split: {test_seed: 1, validation: 0.2, validation_seed: 3}",
        "evaluation: {methods: {a: {}}, protocol: hold_out}\nsplit: {test: 0.3, test_seed: 1}",
        "trials: 3",
        "cache: {disk_gb: 0}",
        "cache: {device_gb: 0}",
        PROBE + "weights: hub\nprecision: bf16\ncache: {disk_gb: 2}\ndevice: cpu",
        PROBE + "training: {pretext: reverse}\npretraining: {max_epochs: 3}",
        FOREIGN + "cache: {disk_gb: 2}\ndevice: cpu",
        "pretraining: {max_epochs: 3}\nevaluation: {methods: {a: {}, b: {probe: logistic, pretext: reverse}}}",
    ],
)
def test_a_key_that_may_do_something_is_read(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).study == "a"


def test_settings_of_a_store_state_defaults_too(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "training: {learning_rate: 1e-3}")
    path = tmp_path / "settings.yaml"
    path.write_text(settings.to_yaml())
    assert load(path) == settings
    assert parse({"study": "a", "data": "b", "training": {"augment_degrees": 20}}, "a store").study == "a"


def test_an_override_that_turns_a_key_off_removes_what_depends_on_it(tmp_path: Path) -> None:
    text = "training: {augment: true, augment_degrees: 20, patience: 9}\n"
    assert loaded(tmp_path, text, "training.augment=false").training == TrainingSettings(patience=9)
    assert loaded(tmp_path, text, "training={patience: 9}").training == TrainingSettings(patience=9)
    pruner = loaded(tmp_path, SEARCH + "pruner: {startup_trials: 9}\n", "pruner.name=none").pruner
    assert (pruner.name, pruner.startup_trials) == ("none", 5)
    second = loaded(tmp_path, SEARCH + "pruner: {name: halving}\n", "second_objective=windows_per_second")
    assert second.pruner == PrunerSettings()
    both = ("search=null", "split={validation: 0.2}")  # each leaves a key of the pruner without effect
    assert loaded(tmp_path, SEARCH + "pruner: {p_value: 0.2}\n", *both).pruner == PrunerSettings()
    evaluated = loaded(tmp_path, "split: {test: 0.3, test_seed: 1}\n", "evaluation={methods: {a: {}}}")
    assert evaluated.split == SplitSettings(test_seed=1)


def test_an_override_that_turns_a_key_on_makes_the_others_useful(tmp_path: Path) -> None:
    found = loaded(tmp_path, "training: {augment_degrees: 20}\n", "training.augment=true").training
    assert found == TrainingSettings(augment=True, augment_degrees=20)


@pytest.mark.parametrize("order", [1, -1])
def test_an_override_that_would_do_nothing_is_refused(tmp_path: Path, order: int) -> None:
    overrides = ["training.augment=false", "training.augment_degrees=20"][::order]
    with pytest.raises(SettingsError, match=r"training\.augment_degrees would do nothing"):
        loaded(tmp_path, "training: {augment: true}\n", *overrides)


FOREST = "evaluation: {methods: {a: {baseline: random_forest}}}\n"
BOTH = EVALUATION + SEARCH


@pytest.mark.parametrize(
    ("command", "text", "override", "key", "reason"),
    [
        ("evaluate", EVALUATION, "trials=3", "trials", "sslwear evaluate searches nothing"),
        ("evaluate", BOTH, "trials=3", "trials", "sslwear evaluate searches nothing"),
        ("evaluate", NESTED, "trials=3", "trials", "only methods of the evaluation search"),
        ("evaluate", BOTH, "search.batch_size=[8, 16]", "search", "sslwear evaluate searches nothing"),
        ("evaluate", BOTH, "pruner.name=none", "pruner", "sslwear evaluate searches nothing"),
        ("evaluate", BOTH, "seed=1", "seed", "an evaluation has its own seeds"),
        ("evaluate", BOTH, "split.test=0.3", "split.test", "each participant is tested once"),
        ("evaluate", LEFT_OUT + SEARCH, "split.test_seed=3", "split.test_seed", "leave_one_out"),
        ("evaluate", FOREST + SEARCH, "training.patience=3", "training", "no method trains a network"),
        ("evaluate", FOREST, "weights=hub", "weights", "no method trains a network"),
        ("evaluate", FOREST, "cache.disk_gb=0", "cache", "no method trains a network"),
        (
            "evaluate",
            "evaluation: {methods: {a: {tuned: all}, b: {tuning: head}, c: {baseline: random_forest}}}",
            "training.tuning=layer1",
            "training.tuning",
            "each method of the evaluation that trains a network has its own",
        ),
        ("evaluate", "evaluation: {methods: {a: {weights: hub}}}", "weights=none", "weights", "has its own"),
        ("study", EVALUATION, "evaluation.folds=3", "evaluation", "sslwear study run compares no methods"),
        ("study", "", "pruner.warmup_epochs=3", "pruner", "nothing is searched"),
        ("train", SEARCH, "trials=3", "trials", "sslwear train searches nothing"),
        ("train", SEARCH, "evaluation={methods: {a: {}}}", "evaluation", "sslwear train compares no methods"),
        ("train", "search: {pretext: [none, reverse]}", "pretraining.patience=3", "pretraining", "no pretext task"),
        ("train", "search: {augment: [true]}", "training.augment_degrees=9", "training.augment_degrees", "augmented"),
        ("pretrain", "training: {pretext: reverse}", "training.tuning=head", "training.tuning", "does not fine-tune"),
        ("pretrain", "training: {pretext: reverse}", "objective=f1", "objective", "sslwear pretrain searches nothing"),
        (None, "", "training.augment_degrees=9", "training.augment_degrees", "not augmented"),
        (None, EVALUATION, "evaluation.methods.a.augment_degrees=9", "evaluation.methods.a.augment_degrees", "not"),
        (None, "", "sampler.startup_trials=3", "sampler", "nothing"),
    ],
)
def test_an_override_that_the_command_does_not_read_is_refused(
    tmp_path: Path, command: Command | None, text: str, override: str, key: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text, override, command=command)
    assert f"{key} would do nothing, because " in str(caught.value)
    assert reason in str(caught.value)
    assert loaded(tmp_path, text, command=command).study == "a"


@pytest.mark.parametrize(
    ("command", "text", "overrides"),
    [
        ("study", EVALUATION, ["trials=3", "seed=4", "split.test=0.3"]),
        (None, EVALUATION, ["trials=3", "seed=4", "split.test=0.3"]),
        ("train", EVALUATION, ["seed=4", "split.test=0.3"]),
        ("train", FOREST, ["training.tuning=head", "weights=hub"]),
        ("evaluate", "evaluation: {methods: {a: {}}, protocol: hold_out}", ["split.test=0.3"]),
        ("evaluate", "evaluation: {methods: {a: {tuning: head}, b: {}}}", ["training.tuning=layer1"]),
        ("evaluate", SEARCH, ["evaluation={methods: {a: {}}}", "search=null"]),
        ("pretrain", SEARCH, ["training.pretext=reverse", "pretraining.patience=3"]),
    ],
)
def test_an_override_that_the_command_reads_is_taken(
    tmp_path: Path, command: Command | None, text: str, overrides: list[str]
) -> None:
    assert loaded(tmp_path, text, *overrides, command=command).study == "a"


@pytest.mark.parametrize("command", COMMANDS)
def test_one_file_serves_all_commands(tmp_path: Path, command: Command) -> None:
    text = BOTH + "trials: 9\nseed: 3\ntraining: {pretext: reverse, patience: 3}\npretraining: {patience: 2}\n"
    assert loaded(tmp_path, text, command=command).trials == 9


def test_a_key_of_an_evaluation_file_is_read_by_the_command_that_needs_it(tmp_path: Path) -> None:
    text = EVALUATION + "trials: 3\n"
    assert loaded(tmp_path, text, command="study").trials == 3
    for command in (None, "evaluate"):
        with pytest.raises(SettingsError, match="trials would do nothing"):
            loaded(tmp_path, text, command=command)


@pytest.mark.parametrize(
    "content",
    [
        {"training": {"augment_degrees": 20}},
        Settings(study="a", data="b", training={"augment_degrees": 20}),
        Settings(study="a", data="b", training=TrainingSettings(augment_degrees=20)),
    ],
)
def test_mappings_and_settings_are_checked_like_files(content: Any) -> None:
    given = content if isinstance(content, Settings) else {"study": "a", "data": "b", **content}
    with pytest.raises(SettingsError, match=r"^the settings: training.augment_degrees would do nothing"):
        from_python(given, {})
    assert from_python(given, {"training": {"augment": True}}).training.augment_degrees == 20


@pytest.mark.parametrize("complete", [False, True])
def test_changes_of_settings_are_checked(complete: bool) -> None:
    settings = Settings(study="a", data="b")
    if complete:  # as a store has them
        settings = parse(settings.model_dump(), "a store")
        assert settings.model_fields_set >= SECTIONS
    with pytest.raises(SettingsError, match=r"training.augment_degrees would do nothing"):
        from_python(settings, {"training": {"augment_degrees": 20}})
    assert from_python(settings, {"training": {"augment": True, "augment_degrees": 20}}).training.augment_degrees == 20
    assert from_python(settings, {}, "study") is settings


def test_settings_with_effect_leave_out_the_others() -> None:
    before = parse({"study": "a", "data": "b", "training": {"augment_degrees": 20, "patience": 3}}, "a store")
    assert with_effect(before, "study") == Settings(study="a", data="b", training={"patience": 3})
    searched = parse({"study": "a", "data": "b", "training": {"augment": True, "augment_degrees": 20}}, "a store")
    assert with_effect(searched, "study") == searched
