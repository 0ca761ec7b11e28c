"""Augmentations of a study: by name, with the settings of rotations, and with their code in keys of results."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sslwear.augmentations.rotation import Rotation
from sslwear.config import TrainingSettings
from sslwear.encoders.base import Network
from sslwear.encoders.cnn import Cnn5
from sslwear.errors import SettingsError
from sslwear.studies.keys import plugin_identities
from sslwear.studies.names import augmentation_of, check_augmentation_name
from sslwear.studies.trial import note, run_name
from sslwear.testing.baselines import dataset
from sslwear.training import AugmentedViews, FrozenBlocks, Windows
from sslwear.utils import plugins

SCALED = """\
import torch

from sslwear.augmentations.base import Augmentation


class Scaled(Augmentation):
    name = "scaled_in_a_test"

    def draw(self, count, generator):
        return 0.8 + 0.4 * torch.rand(count, 1, 1, generator=generator)

    def apply(self, x, drawn):
        return drawn * x
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"augment": False, "augment_degrees": 20}, None),
        ({"augment": True}, Rotation()),
        ({"augment": "rotation", "augment_degrees": 20}, Rotation(20)),
    ],
)
def test_true_is_the_rotation(settings: dict[str, object], expected: Rotation | None) -> None:
    assert augmentation_of(TrainingSettings.model_validate(settings)) == expected


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^search\.augment: there is no 'unknown'; choose one of true, false, "):
        check_augmentation_name("unknown", "search.augment")


def test_an_augmentation_of_a_file_is_named_in_runs_and_its_content_is_in_keys_of_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_files", {})
    blocks, keys = FrozenBlocks(Network(Cnn5(), torch.nn.Identity()), 150, "float32"), []
    file, training, found = tmp_path / "scaled.py", TrainingSettings(augment="scaled_in_a_test"), []
    for text in (SCALED, SCALED.replace("0.8", "0.7")):
        file.write_text(text)
        plugins.load_file(file)
        augmentation = augmentation_of(training)
        assert augmentation is not None
        found.append(plugin_identities(Cnn5, "none", augmentation=augmentation))
        keys.append(blocks.key(Windows.of(dataset(), (0,), AugmentedViews(augmentation, 1)), 1, 2))
    assert keys[0] != keys[1]
    assert found[0].keys() == found[1].keys() == {"augmentation"}
    assert found[0] != found[1]
    assert run_name(training) == "all lr=1e-4 scaled_in_a_test"
    assert "with augmentation `scaled_in_a_test`" in note(training)
