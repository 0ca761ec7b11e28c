"""Plug-ins in files: a study with them runs, keys of results follow their code, and a model includes its encoder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import sslwear
from sslwear.config import Settings
from sslwear.data.dataset import Dataset
from sslwear.deployment import model_package, registry
from sslwear.deployment.promotion.promotion import promote
from sslwear.encoders.base import get as get_encoder
from sslwear.encoders.classifier import Model
from sslwear.errors import SettingsError, StudyError
from sslwear.studies.database.trials import NETWORKS
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.reruns.rerun import rerun
from sslwear.studies.search.optimise import run_study
from sslwear.studies.setup.context import StudyContext
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining import setting_key
from sslwear.tracking import Store
from sslwear.utils import plugins

ENCODER = """\
from collections import OrderedDict

from torch import nn

from sslwear.encoders.base import Encoder


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv1d(channels, 4, 5, stride=2)

    def forward(self, x):
        return self.conv(x).relu()


class Outside(Encoder):
    name = "outside"
    window_samples = 150
    features = 4

    def __init__(self):
        super().__init__()
        blocks = {f"layer{i}": Block(3 if i == 1 else 4) for i in range(1, 5)}
        self.feature_extractor = nn.Sequential(OrderedDict(blocks, layer5=nn.AdaptiveAvgPool1d(1)))
"""
OTHERS = """\
import numpy as np

from sslwear import transforms
from sslwear.evaluation.baselines.base import Baseline
from sslwear.pretext.base import TransformTask


class Doubled(TransformTask):
    name = "doubled"
    title = "Was this window doubled?"

    def transforms(self):
        return {"doubled": lambda x, generator: 2 * x}


class First(Baseline):
    name = "first"

    def predict(self, train, validation, test, classes, seed):
        return np.zeros(len(test), np.int64)
"""

ALONE = """
import sys
import numpy as np

sys.path[:] = [place for place in sys.path if not (__import__("pathlib").Path(place) / "sslwear").is_dir()]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
assert "artifacts" in sys.modules["sslwear"].__file__, sys.modules["sslwear"].__file__
print(*(label.replace(" ", "_") for label in model.predict(np.load(sys.argv[2]))["label"]))
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The two files of plug-ins."""
    monkeypatch.setattr(plugins, "_files", {})
    paths = tmp_path / "outside.py", tmp_path / "others.py"
    for path, text in zip(paths, (ENCODER, OTHERS), strict=True):
        path.write_text(text)
    return paths


@pytest.fixture
def settings(make: Callable[..., Settings], files: tuple[Path, Path]) -> Settings:
    methods = {"a": {}, "b": {"pretext": "doubled"}, "c": {"baseline": "first"}}
    return make(
        study="outside",
        encoder="outside",
        plugins=list(map(str, files)),
        trials=1,
        search={},
        training={"pretext": "doubled", "tuning": "head", "max_epochs": 1, "batch_size": 32},
        evaluation={"protocol": "hold_out", "methods": methods},
    )


def test_a_study_is_not_resumed_with_another_version_of_a_plugin(
    settings: Settings, files: tuple[Path, Path], store: Store
) -> None:
    run_study(settings, store, ProgressCallback())
    files[0].write_text(ENCODER.replace("self.conv(x).relu()", "self.conv(x).mul(0)"))
    with pytest.raises(StudyError, match="was started with another version of a plug-in"):
        run_study(settings.model_copy(update={"trials": 2}), store, ProgressCallback())


def test_a_model_includes_the_file_of_its_encoder(
    settings: Settings, files: tuple[Path, Path], tmp_path: Path, small: Dataset, store: Store
) -> None:
    run_study(settings, store, ProgressCallback())
    promote("outside", store)
    for file in files:
        file.unlink()
    plugins._files.clear()
    with pytest.raises(SettingsError, match="there is no 'outside'"):
        get_encoder("outside")
    windows = small.gather(np.arange(4), 150).transpose(1, 2).numpy()
    model = registry.load_model(store, "outside@champion")
    expected = model.predict(windows)
    (tmp_path / "copy").mkdir()
    model.save(tmp_path / "copy")  # as worker processes of a prediction get it
    assert Model.load(tmp_path / "copy").predict(windows).equals(expected)
    assert plugins.loaded_files() == ()
    folder = store.client.get_model_version_download_uri("outside", "1").removeprefix("file://")
    np.save(tmp_path / "windows.npy", windows)
    alone = subprocess.run(
        [sys.executable, "-c", ALONE, folder, str(tmp_path / "windows.npy")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert alone.returncode == 0, alone.stderr[-2000:]
    assert alone.stdout.split() == expected["label"].str.replace(" ", "_").tolist()


def test_a_run_keeps_the_files_of_its_plugins(
    settings: Settings, files: tuple[Path, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run_study(settings, store, ProgressCallback())
    (run_id,) = study.user_attrs[NETWORKS].values()
    files[0].unlink()
    files[1].write_text(OTHERS.replace("2 * x", "3 * x"))  # repeated with the file of then
    plugins._files.clear()
    monkeypatch.setattr(Store, "from_environment", lambda **_: store)
    windows = torch.zeros(2, 3, 150)
    encoder = sslwear.load_encoder("outside", f"runs:/{run_id}")
    assert encoder(windows).shape == (2, 4)
    with pytest.raises(SettingsError, match="there is no 'outside'"):
        sslwear.load_encoder("outside")
    result = rerun(store.client.get_run(run_id), store, ProgressCallback())
    assert result.differing is None
    assert result.values > 0


def test_an_encoder_whose_file_needs_more_cannot_be_promoted(
    settings: Settings, files: tuple[Path, Path], store: Store
) -> None:
    both = files[0].with_name("both.py")
    both.write_text(f"{ENCODER}\n\nfrom sslwear.pretext.base import TransformTask\n")
    changed = settings.model_copy(update={"plugins": (str(both), str(files[1]))})
    context = StudyContext.open(changed, store)
    with pytest.raises(StudyError, match=r"encoder 'outside' imports sslwear\.pretext\.base, which a promoted model"):
        model_package.check_encoder(context.encoder)


def test_keys_of_results_follow_the_code_of_plugins(settings: Settings, files: tuple[Path, Path], store: Store) -> None:
    def keys() -> tuple[str, dict[str, str]]:
        context = StudyContext.open(settings, store)
        jobs = CrossValidationPlan.build(settings, store).jobs
        return setting_key(context, "doubled"), {job.method.name: job.key for job in jobs}

    before, jobs = keys()
    assert keys() == (before, jobs)
    files[1].write_text(OTHERS.replace("2 * x", "3 * x"))
    now, changed = keys()
    assert now != before
    assert {name for name in jobs if jobs[name] != changed[name]} == {"a", "b", "c"}
    files[1].write_text(OTHERS)
    files[0].write_text(ENCODER.replace("relu()", "tanh()"))
    now, changed = keys()
    assert now != before
    assert {name for name in jobs if jobs[name] != changed[name]} == {"a", "b"}
