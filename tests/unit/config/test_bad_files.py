"""Study files and changes that cannot be used: each gives one clear sentence, and takes little time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings, from_python, load, to_yaml
from sslwear.config.files import MOST_BYTES
from sslwear.errors import SettingsError

MINIMAL = "study: a\ndata: smartwatch\n"
METHODS = "evaluation: {methods: {a: {}, b: {tuning: head}}}\n"
ANCHORS = "x0: &x0 [a, a]\n" + "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 30))
MERGES = "x0: &x0 {a: 1}\n" + "".join(f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 9)}]}}\n" for i in range(1, 15))
DIGITS = "9" * 5000
NUMBER, INTEGER = "input should be a valid number", "input should be a valid integer"
TEXT = "input should be text, in quotes where YAML takes it for something else"
MISSING = "the key 'study' is missing; add it"

WHOLE: list[tuple[str, str]] = [
    ("", "must be a YAML mapping"),
    ("# a comment", "must be a YAML mapping"),
    ("[]", "must be a YAML mapping"),
    ("3", "must be a YAML mapping"),
    ("2024-01-01", "must be a YAML mapping"),
    ("!!set {a, b}", "must be a YAML mapping"),
    ("null", "must be a YAML mapping"),
    ("study a", "must be a YAML mapping"),
    ("{}", MISSING),
    ("Study: a\ndata: b", MISSING),
    ("study: a", "the key 'data' is missing"),
    ("study: a\ndta: b", "the key 'data' is missing; add it. The key 'dta' is unknown"),
    ("study: a\n\tdata: b", "is not YAML: found character '\\t'"),
    ("study: a\ndata: [", "is not YAML: "),
    ("study: a\ndata: {", "is not YAML: "),
    ("study: 'a\ndata: b", "is not YAML: "),
    ("study: a: b", "is not YAML: mapping values are not allowed here in line 1"),
    ("study: a\n data: b", "is not YAML: "),
    ("study: @a", "is not YAML: found character '@'"),
    ("study: `a`", "is not YAML: found character '`'"),
    ("study: *a\ndata: b", "is not YAML: found undefined alias 'a' in line 1"),
    ("study: %a", "is not YAML: "),
    ("%YAML 3.0\n---\nstudy: a", "is not YAML: "),
    ("study: a\n---\nstudy: b", "is not YAML: "),
    ("study: a\nstudy: b\ndata: c", "is not YAML: the key 'study' is given twice in line 2"),
    ("study: a\ndata: b\ntraining: {patience: 1, patience: 2}", "is not YAML: the key 'patience' is given twice"),
    ("? [a, b]\n: c", MISSING),
    ("? {a: b}\n: c", "is not YAML: "),
    ("study: !!python/name:os.system\ndata: b", "is not YAML: could not determine a constructor"),
    ("study: !own a\ndata: b", "is not YAML: could not determine a constructor"),
    ("study: a\0b", "is not YAML: "),
    ("study: a\x07b", "is not YAML: "),
    ("study: !!int x\ndata: b", "is not YAML: 'x' cannot be read"),
    ("study: !!float x\ndata: b", "is not YAML: 'x' cannot be read"),
    ("study: !!bool x\ndata: b", "is not YAML: 'x' cannot be read"),
    ("study: !!timestamp x\ndata: b", "is not YAML: "),
    ("study: !!binary x\ndata: b", "is not YAML: "),
    ("study: 2024-13-01\ndata: b", "is not YAML: '2024-13-01' cannot be read"),
    (MINIMAL + f"trials: {DIGITS}", "is not YAML: '9999"),
    (MINIMAL + f"trials: 0x{DIGITS}", "trials: input should be less than 2147483648, but got a number with too many"),
    (MINIMAL + ANCHORS, "is not YAML: it has more than 20,000 values"),
    (MINIMAL + MERGES, "is not YAML: it has more than 20,000 values"),
    (MINIMAL + "training: &a [*a]", "is not YAML: an anchor contains itself"),
    (MINIMAL + "training: &a {tuning: *a}", "is not YAML: an anchor contains itself"),
    (MINIMAL + "x: " + "[" * 30 + "]" * 30, "is not YAML: it has more than 20 levels"),
    (MINIMAL + "x: " + "[" * 1000 + "]" * 1000, "is not YAML: it has more than 20 levels"),
    (MINIMAL + "x: " + "{a: " * 1000 + "}" * 1000, "is not YAML: it has more than 20 levels"),
    (MINIMAL + "x: [" + "a, " * 30000 + "]", "is not YAML: it has more than 20,000 values"),
    (MINIMAL + "#" * MOST_BYTES, "has more than 200 kB"),
    (MINIMAL + "x" * 1000 + ": 1", "unknown key 'xxx"),
    ("study: " + "x" * 101 + "\ndata: b", "study: input should have at most 100 characters, but has 101: 'xxx"),
    ("study: a/b\ndata: b", "study: input should be a name of letters"),
    ("study: -a\ndata: b", "study: input should be a name of letters"),
    ("study: ''\ndata: b", "study: input should be a name of letters"),
    ("study: ü\ndata: b", "study: input should be a name of letters"),
    ("study: 2024-01-01\ndata: b", "study: input should be a name"),
    (
        "study: 12\ndata: b",
        "study: input should be a name of letters, digits, '.', '_' and '-' that starts with a letter or a digit, in "
        "quotes where YAML takes it for something else, but got 12",
    ),
    ("study: [a]\ndata: b", "study: input should be a name"),
    ("study:\ndata: b", "study: input should be a name"),
    ("study: a\ndata:", f"data: {TEXT}, but got no value"),
    ("study: a\ndata: 12", f"data: {TEXT}, but got 12"),
    ("study: a\ndata: [b]", f"data: {TEXT}, but got ['b']"),
    ("base: nothing.yaml", "base: there is no study file nothing.yaml"),
    ("base: ''", "base: input should be the path of a study file"),
    ("base: 3", "base: input should be the path of a study file"),
    ('base: "a\\0b"', "base: there is no study file"),
    ("base: " + "x" * 5000, "base: there is no study file"),
    ("base: .", "base: there is no study file"),
    ("base: study.yaml", "base leads back to the same file"),
]
KEYS: list[tuple[str, str]] = [
    ("3: 4", "3: keys should be strings"),
    ("true: 4", "True: keys should be strings"),
    ("1.5: 4", "1.5: keys should be strings"),
    ("null: 4", "None: keys should be strings"),
    ("2024-01-01: 4", "2024-01-01: keys should be strings"),
    ('"a\\nb": 4', "unknown key 'a"),
    ("training: {3: 4}", "training.3: keys should be strings"),
    ("Training: {}", "unknown key 'Training'"),
    ("trainig: {}", "unknown key 'trainig'"),
    ("trials: null", f"trials: {INTEGER}, but got no value"),
    ("trials: ~", f"trials: {INTEGER}"),
    ("trials: ''", f"trials: {INTEGER}"),
    ("trials: -1", "trials: input should be greater than or equal to 1"),
    ("trials: 1.5", f"trials: {INTEGER}"),
    ("trials: '3'", f"trials: {INTEGER}"),
    ("trials: 1e300", f"trials: {INTEGER}"),
    ("trials: 99999999999999999999", "trials: input should be less than 2147483648"),
    ("trials: 1:30", f"trials: {INTEGER}, but got '1:30'"),
    ("trials: 2024-01-01", f"trials: {INTEGER}"),
    ("trials: 2024-01-01T10:00:00Z", f"trials: {INTEGER}"),
    ("trials: [3]", f"trials: {INTEGER}"),
    ("trials: {a: 3}", f"trials: {INTEGER}"),
    ("trials: yes", f"trials: {INTEGER}"),
    ("trials: true", f"trials: {INTEGER}"),
    ("trials: 0x", f"trials: {INTEGER}"),
    ("trials: .inf", f"trials: {INTEGER}"),
    ("trials: .nan", f"trials: {INTEGER}"),
    ("objective: Kappa", "objective: input should be 'kappa' or 'f1'"),
    ("objective: [kappa]", "objective: input should be 'kappa' or 'f1'"),
    ("seed: 1e3", f"seed: {INTEGER}"),
    ("device: 0", "device: input should be auto, cpu"),
    ("device: cuda:x", "device: input should be auto, cpu"),
    ("precision: 32", "precision: input should be 'auto', 'float32' or 'bf16'"),
    ("threads: -1", "threads: input should be auto or a number of cores"),
    ("threads: 1.5", "threads: input should be auto or a number of cores"),
    ("include_nonwear: maybe", "include_nonwear: input should be a valid boolean"),
    ("plugins: 3", "plugins: "),
    ("plugins: [3]", "plugins"),
    ("plugins: {a: b}", "plugins: "),
    ("weights: 3", f"weights: {TEXT}"),
    ("encoder: [harnet10]", f"encoder: {TEXT}"),
    ("encoder: !!binary aGk=\nencoder2: 1", "unknown key 'encoder2'"),
    ("split: 0.2", "split: input should be a section with the keys test, test_seed"),
    ("split: [0.2]", "split: input should be a section"),
    (
        "split:",
        "split: input should be a section with the keys test, test_seed, folds, repeats, validation, validation_seed",
    ),
    ("split: {test: 20}", "split.test: input should be less than 1"),
    ("split: {test: 20 %}", f"split.test: {NUMBER}"),
    ("split: {test: -.inf}", "split.test: input should be greater than 0"),
    ("split: {test: '1/5'}", f"split.test: {NUMBER}"),
    ("split: {test: true}", "split.test: input should be a number, but got True"),
    ("split: {train: 0.5}", "unknown key 'split.train'"),
    ("split: {test_seed: 0.5}", f"split.test_seed: {INTEGER}"),
    ("training: {learning_rate: 1e400}", "training.learning_rate: input should be a finite number"),
    ("training: {learning_rate: -1e-3}", "training.learning_rate: input should be greater than 0"),
    ("training: {learning_rate: 1e-3 x}", f"training.learning_rate: {NUMBER}"),
    (f"training: {{learning_rate: 0x{DIGITS}}}", "training.learning_rate: input should be a"),
    ("training: {learning_rate: 2024-01-01}", f"training.learning_rate: {NUMBER}"),
    ("training: {batch_size: 64.0}", f"training.batch_size: {INTEGER}"),
    ("training: {batch_size: 4294967296}", "training.batch_size: input should be less than 2147483648"),
    ("training: {schedule: linear}", "training.schedule: input should be 'constant', 'cosine' or 'one_cycle'"),
    ("training: {augment: ''}", "training.augment: input should be true, false, a text such as rotate(20), or a list"),
    (
        "training: {augment: {rotate: 20}}",
        "training.augment: input should be true, false, a text such as rotate(20), or",
    ),
    ("training: {augment: []}", "training.augment: give at least one augmentation, or false"),
    (
        "training: {augment: [true]}",
        "training.augment: a list should have texts such as rotate(20) or rotation, but has",
    ),
    (
        "training: {augment: [[scale]]}",
        "training.augment: a list should have texts such as rotate(20) or rotation, but",
    ),
    (
        "search: {augment: [[scale, '']]}",
        "search.augment.0: a list should have texts such as rotate(20) or rotation, but",
    ),
    ("search: {augment: [[rotation], true]}", "search.augment: a choice is given twice"),
    ("search: {augment: ['scale(0.10)', [scale(0.1)]]}", "search.augment: a choice is given twice"),
    ("training: {augment: true, augment_degrees: 181}", "training.augment_degrees: input should be less than or equal"),
    ("training: {tuning: 1}", f"training.tuning: {TEXT}"),
    ("training: {tuning: [all]}", f"training.tuning: {TEXT}"),
    ("training: {tuned: all, tuning: all}", "training: tuned is another spelling of tuning, and both are given"),
    ("training: {head: big}", "training.head: input should be 'published' or 'linear'"),
    ("training: {class_weights: 3}", "training.class_weights: input should be a valid boolean"),
    ("training: {pretext: false}", f"training.pretext: {TEXT}"),
    ("training: {max_epochs: 1:00}", f"training.max_epochs: {INTEGER}"),
    ("pretraining: {data: []}", "pretraining.data"),
    ("pretraining: {data: 3}", "pretraining.data"),
    ("pretraining: {sampling: all}", "pretraining.sampling: input should be 'uniform' or 'motion'"),
    ("pretraining: {windows_per_participant: 0}", "pretraining.windows_per_participant: input should be greater"),
    ("search: []", "search: input should be a section"),
    ("search: {tuning: [[all]]}", "search.tuning: input should be 'any' or a list"),
    ("search: {batch_size: 32}", "search.batch_size: input should be a list"),
    ("search: {batch_size: [a]}", f"search.batch_size.0: {INTEGER}"),
    ("search: {learning_rate: [1e-4, -1e-3]}", "search.learning_rate.1: input should be greater than 0"),
    ("search: {training.max_epochs: {low: 1, high: 2.5}}", f"search.training.max_epochs.high: {INTEGER}"),
    ("search: {learning_rate: {low: 1, high: .inf}}", "search.learning_rate.high: input should be a finite number"),
    ("search: {trials: 3}", "search.trials cannot be searched; keys that can be are tuning, learning_rate"),
    ("search: {augment: true}", "search.augment: input should be a list"),
    ("search: {pretext: [1]}", "search.pretext.0: input should be text"),
    ("sampler: {startup_trials: -1}", "sampler.startup_trials: input should be greater than or equal to 0"),
    ("sampler: tpe", "sampler: input should be a section with the keys name, startup_trials"),
    ("pruner: none", "pruner: input should be a section"),
    ("pruner: {name: null}", "pruner.name: input should be 'median', 'halving', 'hyperband', 'folds' or 'none'"),
    ("cache: {memory_gb: 1e300}", "cache.memory_gb: input should be less than or equal to 1000000"),
    ("cache: {memory_gb: -1}", "cache.memory_gb: input should be greater than or equal to 0"),
    ("cache: {disk_gb: .nan}", "cache.disk_gb: input should be "),
    ("cache: {disk_gb: 10 GB}", f"cache.disk_gb: {NUMBER}"),
    ("evaluation:\n  methods:", "evaluation.methods: input should be names"),
    ("evaluation: k_fold", "evaluation: input should be a section with the keys protocol"),
    ("evaluation: {methods: {a: head}}", "evaluation.methods.a: input should be a section"),
    ("evaluation: {methods: {tuple x: {tuning: 3}}}", "evaluation.methods.tuple x.tuning: input should be text"),
    ("evaluation: {methods: {literal: {head: 3}}}", "evaluation.methods.literal.head: input should be 'published'"),
    ("evaluation: {methods: {10: {}}}", "evaluation.methods.10"),
    ("evaluation: {methods: {'': {}}}", "evaluation.methods"),
    (f"evaluation: {{methods: {{{'a' * 61}: {{}}}}}}", "evaluation.methods.aaa"),
    ("evaluation: {methods: {a: {baseline: }}}", "evaluation.methods.a: baseline is empty"),
    ("evaluation: {methods: {a: {ensemble: b}}}", "evaluation.methods.a.ensemble: input should be a list"),
    ("evaluation: {methods: {a: {}}, folds: 0}", "evaluation.folds: input should be greater than or equal to 2"),
    ("evaluation: {methods: {a: {}}, seeds: 42}", "evaluation.seeds: input should be a list"),
    ("evaluation: {methods: {a: {}}, seeds: [-1]}", "evaluation.seeds.0: input should be greater"),
    ("evaluation: {methods: {a: {}}, refit: 2}", "evaluation.refit: input should be a valid boolean"),
    (METHODS + "trials: 3", "trials would do nothing"),
    (METHODS + "split: {test: 0.3}", "split.test would do nothing"),
    ("training: {augment_degrees: 9}", "training.augment_degrees would do nothing"),
    ("pretraining: {patience: 3}", "pretraining would do nothing"),
    ("pruner: {name: none}", "pruner would do nothing"),
    ("evaluation: {methods: {a: {baseline: random_forest}}}\ntraining: {patience: 3}", "training would do nothing"),
]
CHANGES: list[tuple[str, str]] = [
    ("trials", "--set trials: write key=value"),
    ("=3", "--set =3: write key=value"),
    ("training..patience=3", "--set training..patience=3: write key=value"),
    ("'training.patience=3", "--set 'training.patience=3: write key=value"),
    ("trials=[", "--set trials=[: '[' is not a YAML value"),
    ("trials=a: b: c", "--set trials=a: b: c: 'a: b: c' is not a YAML value"),
    (f"trials={DIGITS}", "--set trials=999"),
    ("trials.x=3", "trials: input should be a valid integer"),
    ("study.x=3", "--set study.x=3: study has no keys below it"),
    ("base=other.yaml", "base cannot be changed for one call"),
    ("serach=null", "unknown key 'serach'"),
    ("training=3", "training: input should be a section"),
]


def refusal(path: Path, *overrides: str) -> str:
    start = time.process_time()  # which other programs on the machine do not lengthen
    with pytest.raises(SettingsError) as caught:
        load(path, overrides)
    assert time.process_time() - start < 5
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    return message


def short(value: Any) -> str:
    return str(value)[:60].encode("unicode_escape").decode()


@pytest.mark.parametrize(("text", "beginning"), [*WHOLE, *((MINIMAL + text, said) for text, said in KEYS)], ids=short)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, text: str, beginning: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    assert refusal(path).removeprefix(str(path)).removeprefix(":").lstrip().startswith(beginning)


@pytest.mark.parametrize(("change", "beginning"), CHANGES, ids=short)
def test_a_bad_change_is_refused_in_one_sentence(tmp_path: Path, change: str, beginning: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MINIMAL)
    assert refusal(path, change).removeprefix(f"{path}: ").startswith(beginning)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe\xff", "it is not text in UTF-8"),
        (MINIMAL.encode("utf-16"), "it is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "it is not text in UTF-8"),
        (b"PK\3\4" + bytes(100), "is not YAML"),
        (bytes(MOST_BYTES + 1), "has more than 200 kB"),
    ],
)
def test_a_binary_file_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(data)
    assert said in refusal(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a\0b", "a\\x00b is not a path"),
        ("x" * 5000, "cannot be read"),
        ("/dev/zero", "more than 200 kB"),
        (".", "read"),
    ],
)
def test_a_path_that_is_no_file_is_refused(path: str, said: str) -> None:
    assert said in refusal(Path(path))


@pytest.mark.parametrize("command", [["study", "run"], ["train"], ["pretrain"], ["evaluate"]])
@pytest.mark.parametrize("text", [ANCHORS, MINIMAL + "trials: 0x" + DIGITS, MINIMAL + "training:", "\0"], ids=short)
def test_a_command_ends_with_the_sentence(tmp_path: Path, command: list[str], text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    done = CliRunner().invoke(app, [*command, str(path)])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.startswith(f"sslwear: {path}")
    assert done.stderr.count("\n") == 1


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from(["all", "head", "reverse", "auto", "none", 1, 2, 0.5, 10**30, 10**3000, 1e300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def sections(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings with some keys of a section and random values."""
    fields = {}
    for name, field in model.model_fields.items():
        inner = next(
            (kind for kind in (field.annotation, *getattr(field.annotation, "__args__", ())) if _is_section(kind)), None
        )
        fields[name] = VALUES if inner is None else sections(inner) | VALUES
    return st.fixed_dictionaries({}, optional=fields)


def _is_section(kind: Any) -> bool:
    return hasattr(kind, "model_fields")


def keys(content: Any) -> set[str]:
    if not isinstance(content, dict):
        return set()
    return {str(key) for key in content}.union(*(keys(value) for value in content.values()))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(content=sections(Settings))
def test_any_mapping_loads_or_is_refused_with_a_key(content: dict[str, Any]) -> None:
    content = {"study": "a", "data": "b", **content}
    try:
        found = from_python(content, {})
    except SettingsError as error:
        message = str(error)
        assert message.count("\n") < 3
        assert len(message) < 900
        named = {key if key.isprintable() else repr(key)[1:-1] for key in keys(content)}
        assert any(key in message for key in named if key)
    else:
        assert from_python(found, {}) is found
        assert to_yaml(found.model_dump(mode="json"))
