"""Commands about models in a store that this user may only read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

import sslwear
from sslwear.cli.app import app
from sslwear.cli.model import _test_evaluations
from sslwear.studies.database import optuna_storage
from sslwear.tracking import HOME_VARIABLE, Store


@pytest.fixture
def read_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the store one that cannot be written to."""
    assert store.client
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))


@pytest.mark.usefixtures("read_only")
def test_listing_models_needs_no_permission_to_write() -> None:
    done = CliRunner().invoke(app, ["models", "list"])
    assert (done.exit_code, "no registered model" in done.output) == (0, True), done.output


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    "command",
    [
        ["models", "show", "mine@champion"],
        ["export", "mine@champion", "--onnx", "mine.onnx"],
        ["predict", "X.npy", "--model", "mine@champion", "--out", "labels"],
        ["serve", "mine@champion"],
    ],
)
def test_using_a_model_needs_no_permission_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", np.zeros((2, 300, 3)))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "there is no registered model 'mine'" in done.output


@pytest.mark.usefixtures("read_only")
def test_loading_a_model_in_python_needs_no_permission_to_write() -> None:
    with pytest.raises(sslwear.SslwearError, match="there is no registered model 'mine'"):
        sslwear.load_model("mine@champion")
    with pytest.raises(sslwear.SslwearError, match="models:/mine@champion has no sslwear checkpoint"):
        sslwear.load_encoder("cnn5", "models:/mine@champion")


@pytest.mark.usefixtures("read_only")
def test_opening_a_data_set_needs_no_permission_to_write(small_folder: Path, tmp_path: Path) -> None:
    assert len(sslwear.load_dataset(small_folder)) > 0
    for command in (["data", "describe"], ["pretext", "show", "reverse", "--out", f"{tmp_path / 'x.png'}", "--data"]):
        done = CliRunner().invoke(app, [*command, str(small_folder)])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_promotion_is_forced_with_a_reason_only(store: Store, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(store.home))
    with pytest.raises(sslwear.SslwearError, match="--force needs a reason"):
        sslwear.promote("mine", force=reason)


def test_evaluations_of_a_copied_model_are_not_those_of_a_study_of_the_same_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_storage, "check_content", lambda study: None)  # it has no trials and settings
    optuna.create_study(study_name="mine", storage=optuna_storage.open_storage(store))
    tags = {"sslwear.study": "mine", "sslwear.test_evaluations": "7"}
    assert _test_evaluations(store, tags) == 0
    assert _test_evaluations(store, {**tags, "sslwear.copied_from": "mine/1 of http://lab"}) == 7
