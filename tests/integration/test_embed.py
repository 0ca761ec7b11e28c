"""The ``sslwear embed`` command: features with times, by a model, an encoder and an encoder from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from sslwear.data.devices import DeviceFiles
from sslwear.deployment.prediction import embedding
from sslwear.deployment.prediction.embedding import METADATA
from sslwear.deployment.registry import load_model
from sslwear.encoders.base import Network, get
from sslwear.encoders.weights import save
from sslwear.tracking import HOME_VARIABLE, Store
from tests.bad_inputs.answers import call, refusal
from tests.cutting import cut_recording
from tests.integration.test_predict import write_csv
from tests.samples import foreign_encoders
from tests.samples.foreign_encoders import Moments


@pytest.fixture
def weights(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights of an encoder, and an empty store."""
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    torch.manual_seed(1)
    save(Network(get("harnet5")(), nn.Identity()), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def cut(file: Path, rate_hz: float, window_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Starts and windows (N, 3, samples) of a whole recording."""
    source = DeviceFiles([file])
    (recording,) = source.recordings(source.participants()[0])
    windows = cut_recording(recording, rate_hz, window_s, window_s)
    assert recording.start is not None
    start = recording.start + np.rint(windows.start * 1e3).astype("timedelta64[ms]")
    return start, np.ascontiguousarray(windows.samples.transpose(0, 2, 1))


def read(path: Path) -> tuple[pd.DataFrame, np.ndarray]:
    table = pd.read_parquet(path)
    assert table.columns[:3].tolist() == ["time", "worn", "f0"]
    return table, table.filter(regex=r"^f\d+$").to_numpy()


def test_features_are_those_of_the_encoder_with_the_weights(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "ROWS", 20)  # several groups of rows
    file = write_csv(tmp_path / "anna.csv", 3, gap=(2000, 2400))
    bad = tmp_path / "bad.csv"
    bad.write_text("time,x,y,z\n2024-05-01 12:00,1,1\n")
    out = tmp_path / "out"
    result = call("embed", bad, file, "--model", "harnet5", "--weights", weights, "--out", out)
    assert result.exit_code == 1
    assert "sslwear: bad was left out:" in result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["anna.features.parquet"]
    table, found = read(out / "anna.features.parquet")
    start, windows = cut(file, 30, 5)
    assert (table["time"].to_numpy() == start).all()
    encoder = get("harnet5")()
    Network(encoder, nn.Identity()).load_state_dict(
        {name: value for name, value in torch_state(weights).items() if name.startswith("feature_extractor.")}
    )
    with torch.no_grad():
        expected = encoder.eval()(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    about = json.loads(pq.read_metadata(out / "anna.features.parquet").metadata[METADATA])
    assert (about["rate_hz"], about["window_s"]) == (30, 5)


def torch_state(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def test_features_of_a_champion(promoted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(promoted.home))
    file = write_csv(tmp_path / "anna.csv", 2)
    out = tmp_path / "out"
    result = call("embed", file, "--model", "tiny@champion", "--out", out)
    assert result.exit_code == 0, result.output
    _, found = read(out / "anna.features.parquet")
    model = load_model(promoted, "tiny@champion")
    _, windows = cut(file, model.card.rate_hz, model.card.window_s)
    with torch.no_grad():
        expected = model.network.forward_blocks(torch.from_numpy(windows)).flatten(1).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    about = json.loads(pq.read_metadata(out / "anna.features.parquet").metadata[METADATA])
    assert about["model"] == "tiny/1"  # the alias may move later
    assert "tiny@champion has its weights. Remove --weights" in refusal(
        "embed", file, "--model", "tiny@champion", "--weights", "hub", "--out", out
    )


def test_an_encoder_from_elsewhere_has_its_own_windows(weights: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "anna.csv", 1)
    out = tmp_path / "out"
    arguments = ("embed", file, "--model", "moments", "--plugin", foreign_encoders.__file__, "--out", out)
    assert call(*arguments).exit_code == 0
    table, found = read(out / "anna.features.parquet")
    start, windows = cut(file, 20, 2)
    assert (table["time"].to_numpy() == start).all()
    np.testing.assert_allclose(found, Moments()(torch.from_numpy(windows)), rtol=1e-5, atol=1e-6)


def test_windows_not_worn_have_no_features(weights: Path, tmp_path: Path) -> None:
    count = 20 * 60 * 125
    samples = np.array([0, 0, 1]) + np.random.default_rng(0).normal(0, 0.2, (count, 3))
    samples[20 * 60 * 10 : 20 * 60 * 115] = [0, 0, 1]
    table = pd.DataFrame(samples.round(4), columns=["x", "y", "z"])
    table.insert(0, "time", np.datetime64("2024-05-01T12:00", "ns") + np.arange(count) * np.timedelta64(50, "ms"))
    table.to_csv(tmp_path / "anna.csv", index=False)
    plugin = ("--plugin", foreign_encoders.__file__)
    result = call("embed", tmp_path / "anna.csv", "--model", "moments", *plugin, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    written, found = read(tmp_path / "out" / "anna.features.parquet")
    assert 0 < (~written["worn"]).sum() < len(written)
    assert np.isnan(found[~written["worn"]]).all()
    assert np.isfinite(found[written["worn"]]).all()


def test_finished_recordings_are_skipped_and_others_are_not_replaced(weights: Path, tmp_path: Path) -> None:
    file, out = write_csv(tmp_path / "anna.csv", 1), tmp_path / "out"
    arguments = ("embed", file, "--plugin", foreign_encoders.__file__, "--out", out, "--model")
    assert call(*arguments, "moments").exit_code == 0
    before = (out / "anna.features.parquet").stat().st_mtime_ns
    assert "finished earlier" in " ".join(call(*arguments, "moments").stdout.split())
    assert (out / "anna.features.parquet").stat().st_mtime_ns == before
    assert "exists already" in refusal(*arguments, "random")
    assert call(*arguments, "random", "--overwrite").exit_code == 0
    assert read(out / "anna.features.parquet")[1].shape[1] == 16
    assert "exists already" in refusal(*arguments, "random", "--precision", "bf16")
    write_csv(file, 2)  # another recording of the same name
    assert "exists already" in refusal(*arguments, "random")


def test_tables_of_another_format_have_the_same_features(weights: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "anna.csv", 1)
    arguments = ("embed", file, "--plugin", foreign_encoders.__file__, "--model", "moments", "--out")
    assert call(*arguments, tmp_path / "one").exit_code == 0
    pd.read_csv(file).set_axis(["t", "a", "b", "c"], axis=1).to_csv(file, index=False)
    assert call(*arguments, tmp_path / "two", "--columns", "t,a,b,c", "--units", "g").exit_code == 0
    one, two = (read(tmp_path / name / "anna.features.parquet")[0] for name in ("one", "two"))
    assert one.equals(two)
    assert "exists already" in refusal(*arguments, tmp_path / "two", "--columns", "t,b,a,c")
    local = ("--columns", "t,a,b,c", "--units", "g", "--timezone", "Europe/Paris")
    assert call(*arguments, tmp_path / "three", *local).exit_code == 0
    three = read(tmp_path / "three" / "anna.features.parquet")[0]
    assert str(three["time"].dt.tz) == "Europe/Paris"
    assert three["time"].dt.tz_localize(None).tolist() == one["time"].tolist()


def test_refusals(weights: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "anna.csv", 1)
    arguments = ("embed", file, "--out", tmp_path / "out", "--model")
    assert "without weights. Add --weights FILE, or --weights hub for the published" in refusal(*arguments, "harnet5")
    assert refusal(*arguments, "cnn5").rstrip().endswith("is an encoder without weights. Add --weights FILE")
    assert "does not fit harnet10" in refusal(*arguments, "harnet10", "--weights", weights)
    message = refusal(*arguments, "nosuch")
    assert "there is no registered model 'nosuch' and no encoder of this name" in message
    assert "harnet5" in message.split("Encoders: ")[1]
    assert "nosuch is no encoder. Remove --weights" in refusal(*arguments, "nosuch", "--weights", weights)
    assert "--device tpu is unknown" in refusal(*arguments, "harnet5", "--device", "tpu")
    assert "--precision half is unknown" in refusal(*arguments, "harnet5", "--precision", "half")
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "cannot write to" in refusal("embed", file, "--out", blocked, "--model", "harnet5", "--weights", weights)
    twice = write_csv(tmp_path / "anna.csv.gz", 1)
    assert "would both be the recording 'anna'" in refusal(
        "embed", file, twice, "--out", tmp_path, "--model", "harnet5", "--weights", weights
    )
