"""From a finished study to a registered model that others load: promotion, the registry, export."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from filelock import FileLock
from mlflow.exceptions import MlflowException
from typer.testing import CliRunner

from sslwear.cli.app import app
from sslwear.config import Settings
from sslwear.data.dataset import Dataset
from sslwear.deployment import model_aliases, registry
from sslwear.deployment.promotion import trial_promotion
from sslwear.deployment.promotion.promotion import promote
from sslwear.deployment.promotion.registration import training_ranges
from sslwear.deployment.promotion.rule import Rule
from sslwear.encoders.classifier import resampled
from sslwear.encoders.distribution_shift import reference_ranges, statistics
from sslwear.errors import SettingsError, StudyError
from sslwear.evaluation.intervals import Difference, Interval
from sslwear.evaluation.participants import per_participant
from sslwear.studies.database.optuna_storage import find_study
from sslwear.studies.database.tested_trials import past_evaluations, scores_of
from sslwear.studies.database.trials import network_run, winner
from sslwear.studies.search.final_test import score_network
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.network_card import network_card
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.winner import trial_network
from sslwear.tracking import Run, Store
from sslwear.tracking.checkpoints import model_folder
from sslwear.training.metrics import SCORES
from tests.conftest import store_at

PACKAGE = Path(registry.__file__).parents[2]


@pytest.fixture
def store(studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of it, for one test to change; checkpoints are read where they are."""
    home = tmp_path / "mlruns"
    shutil.copytree(studied, home)
    monkeypatch.setenv("SSLWEAR_HOME", str(home))
    return store_at(home)


def cli(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_first_promotion_registers_a_complete_version(promoted: Store, small: Dataset) -> None:
    study = find_study("tiny", promoted)
    best = winner(study)
    assert best is not None
    version = registry.find_version(promoted, "tiny@champion")
    tags = {key.removeprefix("sslwear."): value for key, value in version.tags.items()}
    assert tags["study"] == "tiny"
    assert tags["trial"] == str(best.number)
    assert tags["fingerprint"] == small.fingerprint
    assert tags["classes"] == "abduction, pendulum, upright row"
    assert tags["input"] == "5 s at 30 Hz, 150 samples, g"
    assert tags["weights_licence"].startswith("It starts from random weights")
    assert len(tags["commit"]) == 40
    sides = [tags[f"{side}_participants"].split() for side in ("train", "validation", "test")]
    assert sorted([*sides[0], *sides[2]]) == sorted(map(str, small.participants))  # all others are trained on
    assert not sides[1]
    assert version.run_id == network_run(study, best)
    card = version.description or ""
    for part in (
        "# tiny",
        f"- train: {' '.join(sides[0])}\n- test: {' '.join(sides[2])}\n",
        "## Scores on the test participants",
        "Test evaluations until now: 1.",
        "Fewer than 5 participants are too few for an interval.",
        small.fingerprint,
        tags["commit"],
    ):
        assert part in card
    folder = Path(promoted.client.get_model_version_download_uri("tiny", "1").removeprefix("file://"))
    assert (folder / "README.md").read_text() == card
    assert (folder / "input_example.json").is_file()
    assert not list(folder.rglob("*.pkl"))
    metrics = promoted.client.get_run(version.run_id).data.metrics
    means = scores_of(study, best.number)
    assert metrics["test_kappa"] == pytest.approx(means["kappa"], abs=1e-9)
    assert tags["test_kappa"] == f"{means['kappa']:.3f} ({len(sides[2])} participants)"
    assert not [name for name in metrics if name.endswith(("_low", "_high"))]  # of so few participants
    assert [one["why"] for one in past_evaluations(study)] == [f"trial {best.number}, the winner"]


def test_scores_are_computed_from_predictions_for_test_participants(promoted: Store, small: Dataset) -> None:
    version = registry.find_version(promoted, "tiny@champion")
    who = [int(participant) for participant in version.tags["sslwear.test_participants"].split()]
    rows = np.flatnonzero(np.isin(small.pid, who))
    model = registry.load_model(promoted, "tiny@champion")
    windows = small.gather(rows, 150).transpose(1, 2).numpy()
    answers = model.predict(windows)["label"]
    predicted = np.array([small.class_names.index(label) for label in answers])
    table = per_participant(small.labels[rows], predicted, small.pid[rows], 3)
    metrics = promoted.client.get_run(version.run_id).data.metrics
    for name in SCORES:
        assert metrics[f"test_{name}"] == pytest.approx(table[name].mean(), abs=1e-9)


def test_the_model_loads_with_mlflow_alone(promoted: Store, small: Dataset, tmp_path: Path) -> None:
    """In a process that has no sslwear, without unpickling."""
    rows = np.arange(5)
    windows = small.gather(rows, 150).numpy()
    np.save(tmp_path / "windows.npy", windows)
    code = f"""
import sys
sys.path[:] = [place for place in sys.path if place != {str(PACKAGE)!r}]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__ + repr(finder)]
import mlflow, numpy
mlflow.set_tracking_uri({promoted.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/tiny@champion")
windows = numpy.load("windows.npy")
model.predict(windows.astype("float64").transpose(0, 2, 1)).to_json("found.json")
assert model.predict(windows).equals(model.predict(windows.transpose(0, 2, 1)))
import sslwear.encoders.classifier
print(sslwear.encoders.classifier.__file__)
"""
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:sslwear", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "/artifacts/code/sslwear/encoders/classifier.py" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    wanted = registry.load_model(promoted, "tiny@champion").predict(windows)
    assert list(found["label"].values()) == list(wanted["label"])
    np.testing.assert_allclose(list(found["p_abduction"].values()), wanted["p_abduction"], atol=1e-5)


def test_mlflow_refuses_wrong_input_with_a_short_error(promoted: Store) -> None:
    model = mlflow.pyfunc.load_model(promoted.client.get_model_version_download_uri("tiny", "1"))
    assert model.metadata.signature is not None
    assert model.metadata.signature.outputs.input_names()[0] == "label"
    with pytest.raises(MlflowException, match=r"This model takes \(N, 150, 3\)") as caught:
        model.predict(np.ones((2, 100, 3)))
    assert caught.value.get_http_status_code() == 400
    with pytest.raises(MlflowException, match="looks like m/s"):
        model.predict(np.full((2, 150, 3), 9.80665 / np.sqrt(3)))


def test_a_worse_trial_is_refused_unless_forced(store: Store) -> None:
    worst = min(find_study("tiny", store).trials, key=lambda trial: trial.value or 0)
    assert cli("promote", "tiny")[0] == 0
    refused = promote("tiny", store, worst.number)
    assert refused.differences["kappa"].interval.mean < 0
    assert not refused.moved
    assert refused.version is None
    assert [v.version for v in registry.versions(store, "tiny")] == [1]
    code, output = cli("promote", "tiny", "--trial", str(worst.number))
    assert code == 1
    assert "tiny@champion is still version 1: kappa is -" in output
    assert len(past_evaluations(find_study("tiny", store))) == 2  # the winner, and this trial once
    code, output = cli("promote", "tiny", "--trial", str(worst.number), "--force", "the lab's wish")
    assert code == 0
    version = registry.find_version(store, "tiny@champion")
    assert version.version == 2
    assert version.tags["sslwear.forced"] == "the lab's wish"
    assert "It replaced version 1 as `champion`: forced: the lab's wish" in (version.description or "")
    code, output = cli("models", "rollback", "tiny")
    assert "tiny@champion is version 1 again; it was version 2." in output
    assert registry.find_version(store, "tiny").version == 1
    with pytest.raises(StudyError, match="tiny@champion has no previous version"):
        model_aliases.rollback(store, "tiny")
    allowed = promote("tiny", store, worst.number, score="f1", margin=0.99)
    assert allowed.moved
    assert allowed.version == "2"  # the same trial is not registered twice
    assert len(past_evaluations(find_study("tiny", store))) == allowed.test_evaluations == 2


def test_the_champion_is_not_evaluated_again(store: Store) -> None:
    first = promote("tiny", store)
    again = promote("tiny", store)
    assert (first.moved, again.moved) == (True, False)
    assert again.test_evaluations == first.test_evaluations
    assert again.version == again.champion == "1"
    assert "Nothing was changed" in cli("promote", "tiny")[1]


def test_each_alias_has_its_own_history(store: Store) -> None:
    promote("tiny", store)
    promote("tiny", store, alias="challenger")
    assert registry.aliases(store, "tiny") == {"1": ["challenger", "champion"]}
    output = cli("models", "list")[1]
    assert "tiny@champion" in output
    assert "tiny@challenger" in output
    assert [step["why"] for step in model_aliases.history(store, "tiny", "challenger")] == ["there was no champion"]


def test_a_card_has_the_rate_of_resampled_windows(make: Callable[..., Settings], store: Store) -> None:
    """5 s of 30 Hz, window_length_warnings to the 300 samples of another encoder, are what 60 Hz would have given."""
    for encoder, samples, rate_hz in (("harnet5", 150, 30), ("harnet10", 300, 60)):
        card = network_card(StudyContext.open(make(encoder=encoder), store), "all", "none", "published")
        assert (card.window_samples, card.rate_hz, card.window_s) == (samples, rate_hz, 5)


def test_ranges_of_a_card_are_those_of_resampled_windows(make: Callable[..., Settings], store: Store) -> None:
    context = StudyContext.open(make(encoder="harnet10"), store)
    windows = np.array(context.dataset.windows)[context.windows(context.split.train).rows]
    expected = reference_ranges(statistics(resampled(windows, 300)))
    assert expected["motion"] != pytest.approx(reference_ranges(statistics(windows))["motion"], rel=0.001)
    for name, limits in training_ranges(context).items():
        assert limits == pytest.approx(expected[name], abs=1e-5), name


def test_a_small_network_with_a_linear_head_is_promoted(
    make: Callable[..., Settings], store: Store, small: Dataset
) -> None:
    training = {"tuning": "layer5", "head": "linear", "pretext": "reverse", "max_epochs": 2}
    run_study(make(study="compact", encoder="cnn5", training=training, search={}, trials=1), store, ProgressCallback())
    assert promote("compact", store).moved
    model = registry.load_model(store, "compact@champion")
    assert (model.card.encoder, model.card.head, model.card.tuning) == ("cnn5", "linear", "layer5")
    study = find_study("compact", store)
    best = winner(study)
    assert best is not None
    context = StudyContext.open(make(study="compact", encoder="cnn5", training=training, search={}), store)
    windows = small.gather(np.arange(5), 150)
    parent = Run(store, study.user_attrs["run_id"], store.experiment("compact"))
    with torch.no_grad():
        logits = trial_network(context, study, best, parent, ProgressCallback())[0].eval()(windows)
    found = model.predict(windows.numpy()).drop(columns="label").to_numpy()
    np.testing.assert_allclose(found, logits.softmax(dim=1).numpy(), atol=1e-5)


def test_a_model_that_was_trained_in_bf16_is_scored_as_it_predicts(make: Callable[..., Settings], store: Store) -> None:
    """In float32, as Python, MLflow and the server compute."""
    settings = make(study="half", encoder="cnn5", precision="bf16", training={"max_epochs": 2}, search={}, trials=1)
    run_study(settings, store, ProgressCallback())
    promote("half", store)
    model, study = registry.load_model(store, "half@champion"), find_study("half", store)
    context = StudyContext.open(settings, store)
    rows = context.windows(context.split.test).rows
    windows = context.dataset.gather(rows, 150).numpy()
    scored = score_network(context, model.network, 150, context.dataset.class_names)
    found = model.predict(windows).drop(columns="label").to_numpy()
    np.testing.assert_allclose(found, scored.probabilities, atol=1e-6)
    in_bf16 = score_network(context, model.network, 150, context.dataset.class_names, precision="bf16")
    assert not np.allclose(found, in_bf16.probabilities, atol=1e-6), "the test can tell the precisions apart"
    version = registry.find_version(store, "half@champion")
    assert version.tags["sslwear.tested_on"] == "cpu, float32"
    assert "computed on: cpu, float32." in (version.description or "")
    assert store.client.get_run(study.user_attrs["run_id"]).data.tags["sslwear.tested_on"] == "cpu, float32"


def test_models_show_prints_the_card(promoted: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLWEAR_HOME", str(promoted.home))
    code, output = cli("models", "show", "tiny@champion")
    assert code == 0
    assert "Test evaluations of its study: 1." in output
    assert "## Scores on the test participants" in output


def kept_run(store: Store) -> str:
    """Id of the run with the weights of the small study's winner."""
    study = find_study("tiny", store)
    best = winner(study)
    assert best is not None
    return str(network_run(study, best))


def test_promotion_does_not_need_the_initial_checkpoint(
    make: Callable[..., Settings], store: Store, tmp_path: Path
) -> None:
    """The initial checkpoint of the study may be deleted; its trials have their own."""
    origin = next(store.home.parent.glob("none"), tmp_path / "start.safetensors")
    with model_folder(store, f"runs:/{kept_run(store)}") as folder:
        shutil.copy(folder / "model.safetensors", origin)
    run_study(make(study="second", weights=str(origin), search={}, trials=1), store, ProgressCallback())
    origin.unlink()
    found = promote("second", store, name="tiny-2")
    assert found.moved
    assert found.name == "tiny-2"
    version = registry.find_version(store, "tiny-2@champion")
    assert "start.safetensors" in version.tags["sslwear.weights_licence"]
    assert "academic use only" in (version.description or "")


def test_models_of_windows_of_another_length_are_not_compared(
    make: Callable[..., Settings], store: Store, small_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(small_folder, other)
    description = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps({**description, "window_s": 10, "rate_hz": 15}))
    run_study(make(study="other", data=str(other), search={}, trials=1), store, ProgressCallback())
    promote("tiny", store)
    with pytest.raises(StudyError, match=r"cannot be compared: it takes windows of 5 s, and .*other has 10 s"):
        promote("other", store, name="tiny")


def test_models_of_other_classes_are_not_compared(
    make: Callable[..., Settings], store: Store, small_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(small_folder, other)
    description = json.loads((other / "dataset.json").read_text())
    description["class_names"] = ["swing", "pendulum", "upright row"]
    del description["fingerprint"]
    (other / "dataset.json").write_text(json.dumps(description))
    labels = np.load(other / "Y.npy")
    np.save(other / "Y.npy", np.where(labels == "abduction", "swing", labels) if labels.dtype.kind == "U" else labels)
    run_study(make(study="other", data=str(other), search={}, trials=1), store, ProgressCallback())
    promote("tiny", store)
    with pytest.raises(
        StudyError, match="tiny@champion, version 1, cannot be compared: the model has the classes abduction"
    ):
        promote("other", store, name="tiny")
    forced = promote("other", store, name="tiny", force="new exercises")
    assert forced.moved
    assert "(version 1 cannot be compared: the model has the classes " in forced.reason


@pytest.mark.parametrize(("attribute", "words"), [("classes", "names of the classes"), ("split", "participants")])
def test_a_trial_is_not_promoted_for_other_classes_or_participants(store: Store, attribute: str, words: str) -> None:
    study = find_study("tiny", store)
    assert attribute in study.user_attrs
    study.set_user_attr(attribute, "as it was before dataset.json was edited")
    before = len(past_evaluations(study))
    with pytest.raises(StudyError, match=f"has other .*{words}.* than when 'tiny' was run. Restore what it had"):
        promote("tiny", store)
    assert len(past_evaluations(find_study("tiny", store))) == before
    assert not registry.models(store)


def test_errors_of_promotion_are_short(store: Store) -> None:
    with pytest.raises(StudyError, match="there is no study 'none'"):
        promote("none", store)
    with pytest.raises(StudyError, match=r"trial 9 of 'tiny' has not finished\. Choose one of 0, 1, 2"):
        promote("tiny", store, 9)
    with pytest.raises(SettingsError, match=r"score: there is no 'luck'\. Choose one of kappa, f1"):
        Rule("luck")
    with pytest.raises(SettingsError, match="margin: it must be at least 0"):
        Rule(margin=-0.1)
    with pytest.raises(
        StudyError, match=r"there is no registered model 'tiny' in sqlite.*mlflow\.db\. Promote a study"
    ):
        registry.find_version(store, "tiny@champion")
    promote("tiny", store)
    with pytest.raises(StudyError, match=r"has no alias 'best'\. Existing aliases: tiny@champion"):
        registry.find_version(store, "tiny@best")
    with pytest.raises(StudyError, match=r"has no version 7\. Existing versions: tiny/1"):
        registry.find_version(store, "models:/tiny/7")
    with pytest.raises(StudyError, match="Write NAME@alias or NAME/VERSION"):
        registry.find_version(store, "tiny@")
    (store.home / "locks").mkdir(exist_ok=True)
    with FileLock(store.home / "locks" / "study-tiny.lock"), pytest.raises(StudyError, match="another process on this"):
        promote("tiny", store)


def test_the_rule_of_the_interval_cannot_be_judged_by_few_participants(store: Store) -> None:
    first, second, _ = (trial.number for trial in find_study("tiny", store).trials)
    assert promote("tiny", store, first, rule="interval").moved  # there was nothing to compare
    before = len(past_evaluations(find_study("tiny", store)))
    with pytest.raises(StudyError, match=r"the rule of the interval cannot be judged, .* at least 5 .* there are 2"):
        promote("tiny", store, second, rule="interval")
    assert len(past_evaluations(find_study("tiny", store))) == before
    forced = promote("tiny", store, second, rule="interval", force="for the test")
    assert forced.moved
    assert "cannot be judged" in forced.reason


@pytest.mark.parametrize(("name", "alias"), [("a/b", "champion"), ("it's", "champion"), ("x", "latest"), ("x", "v1")])
def test_an_invalid_name_costs_no_test_evaluation(store: Store, name: str, alias: str) -> None:
    with pytest.raises(StudyError, match="cannot be"):
        promote("tiny", store, name=name, alias=alias)
    assert len(past_evaluations(find_study("tiny", store))) == 1


def test_a_promotion_says_that_it_trains_a_trial(store: Store) -> None:
    class Noting(ProgressCallback):
        def note(self, text: str) -> None:
            notes.append(text)

    notes: list[str] = []
    worst = min(find_study("tiny", store).trials, key=lambda trial: trial.value or 0)
    promote("tiny", store, worst.number, progress=Noting())
    assert [text.partition(" on all")[0] for text in notes] == [f"training trial {worst.number}"]


def test_a_trial_can_be_promoted_after_an_interruption(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(store.client), "log_model_artifacts", interrupt)
        with pytest.raises(KeyboardInterrupt):
            promote("tiny", store)
    assert registry.models(store) == []
    assert promote("tiny", store).version == "1"


def test_an_alias_that_was_moved_during_the_comparison_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (trial.number for trial in find_study("tiny", store).trials)
    promote("tiny", store, first)
    promote("tiny", store, second, alias="other")
    real = trial_promotion.register_trial

    def slow(*arguments: object) -> object:
        store.client.set_registered_model_alias("tiny", "champion", "2")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trial_promotion, "register_trial", slow)
    with pytest.raises(StudyError, match="tiny@champion was moved to version 2 during the comparison"):
        promote("tiny", store, third, force="for the test")
    assert registry.find_version(store, "tiny@champion").version == 2


def test_rollback_includes_manual_changes_and_skips_deleted_versions(store: Store) -> None:
    numbers = [trial.number for trial in find_study("tiny", store).trials]
    promote("tiny", store, numbers[0])
    promote("tiny", store, numbers[1], alias="other", force="for the test")
    store.client.set_registered_model_alias("tiny", "champion", "2")
    promote("tiny", store, numbers[2], force="for the test")
    assert model_aliases.rollback(store, "tiny") == ("version 3", "2")
    store.client.delete_model_version("tiny", "2")
    assert model_aliases.rollback(store, "tiny") == ("no version", "1")


def test_a_champion_without_files_is_replaced_by_force(store: Store) -> None:
    best, other = (trial.number for trial in find_study("tiny", store).trials[:2])
    promote("tiny", store, best)
    shutil.rmtree(Path(store.client.get_model_version_download_uri("tiny", "1").removeprefix("file://")))
    with pytest.raises(StudyError, match="tiny@champion, version 1, cannot be compared"):
        promote("tiny", store, other)
    assert promote("tiny", store, other, force="its files are gone").moved


def test_secrets_in_a_reason_are_masked(store: Store) -> None:
    trials = [trial.number for trial in find_study("tiny", store).trials]
    promote("tiny", store, trials[0])
    promote("tiny", store, trials[1], force="see https://me:s3cret@lab/1")
    version = registry.find_version(store, "tiny@champion")
    kept = f"{version.tags} {version.description} {registry.find_model(store, 'tiny').tags}"
    location = store.client.get_model_version_download_uri("tiny", str(version.version))
    kept += (Path(location.removeprefix("file://")) / "README.md").read_text(encoding="utf-8")
    assert "https://me:***@lab/1" in kept
    assert "s3cret" not in kept


@pytest.mark.parametrize(
    ("mean", "low", "rule", "allowed"),
    [
        (0.0, -0.1, Rule(), True),
        (-0.01, -0.1, Rule(), False),
        (-0.01, -0.1, Rule(margin=0.02), True),
        (0.1, -0.01, Rule(kind="interval"), False),
        (0.1, -0.01, Rule(kind="interval", margin=0.05), True),
        (0.1, 0.01, Rule(kind="interval"), True),
        (float("nan"), float("nan"), Rule(), False),
    ],
)
def test_rule_allows(mean: float, low: float, rule: Rule, allowed: bool) -> None:
    assert rule.allows(Difference(Interval(mean, 0.1, low, 1.0, 5), 0.5)) is allowed


def test_an_onnx_file_gives_the_probabilities_of_pytorch(
    promoted: Store, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        onnxruntime = pytest.importorskip(package, reason="the extra onnx is not installed")
    file = tmp_path / "tiny.onnx"
    monkeypatch.setenv("SSLWEAR_HOME", str(promoted.home))
    code, output = cli("export", "tiny@champion", "--onnx", str(file))
    assert code == 0, output
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == list(small.class_names)
    model = registry.load_model(promoted, "tiny@champion")
    for count in (1, 5, 64):
        windows = small.gather(np.arange(count), 150).numpy()
        (found,) = session.run(None, {"windows": windows})
        np.testing.assert_allclose(found, model.probabilities(windows.transpose(0, 2, 1)), atol=1e-5)
