"""Device of a computation."""

from __future__ import annotations

import os

import pytest
import torch

from sslwear.training.device import resolve_device


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two graphics cards, and PyTorch's default of TF32."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is restored
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1"])
@pytest.mark.usefixtures("two_cards")
def test_float32_is_not_tf32_on_a_graphics_card(name: str) -> None:
    assert resolve_device(name).type == "cuda"
    assert not torch.backends.cudnn.allow_tf32
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8", "PyTorch reads it with the first matrix product"


@pytest.mark.usefixtures("two_cards")
def test_the_cpu_changes_no_setting_of_cuda() -> None:
    assert resolve_device("cpu").type == "cpu"
    assert torch.backends.cudnn.allow_tf32
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
