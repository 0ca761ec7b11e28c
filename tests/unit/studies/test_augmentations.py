"""Augmentations of a study: by name, with the settings of rotations, and with their code in keys of results."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sslwear.augmentations.base import Augmentations
from sslwear.augmentations.rotation import Rotation
from sslwear.augmentations.scale import Scale
from sslwear.config import SearchSettings, TrainingSettings
from sslwear.encoders.base import Network
from sslwear.encoders.cnn import Cnn5
from sslwear.errors import SettingsError
from sslwear.studies.setup.keys import plugin_identities
from sslwear.studies.setup.names import augmentation_of, check_augmentation, check_search_names
from sslwear.studies.trial.training_run import note, run_name
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
        ({"augment": "rotate(20)"}, Rotation(20)),
        ({"augment": ["rotation"]}, Rotation()),
        ({"augment": ["scale(0.2)", "rotation"]}, (Scale(0.2), Rotation())),
    ],
)
def test_true_is_the_rotation_and_a_list_keeps_its_order(
    settings: dict[str, object], expected: Augmentations | None
) -> None:
    assert augmentation_of(TrainingSettings.model_validate(settings)) == expected


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^search\.augment: there is no 'unknown'; choose one of true, false, "):
        check_augmentation("unknown", "search.augment")


def test_rotate_with_a_number_has_the_same_text_for_keys_as_true_with_degrees() -> None:
    old = TrainingSettings(augment=True, augment_degrees=20)
    assert repr(augmentation_of(TrainingSettings(augment="rotate(20)"))) == repr(augmentation_of(old))


def test_a_search_names_every_augmentation_once() -> None:
    def check(*choices: object) -> None:
        check_search_names(SearchSettings(augment=choices), Cnn5, "search")

    check(False, True, "rotate(20)", ["rotate(20)", "scale"], ["scale", "rotate(20)"], "scale")
    with pytest.raises(SettingsError, match=r"^search\.augment: 'scale\(0\.1\)' is given twice, in two spellings"):
        check("scale", "scale(0.1)")
    with pytest.raises(SettingsError, match=r"^search\.augment: in scale\(SHARE\), the number must be above 0"):
        check(["rotate(20)", "scale(2)"])


def test_a_list_of_augmentations_is_named_in_descriptions_of_runs() -> None:
    training = TrainingSettings(augment=["rotate(20.0)", "jitter"])
    assert run_name(training, 3) == "#3 all lr=1e-4 augmented"
    assert "with augmentation `rotate(20)+jitter`, for" in note(training)
    assert training.model_dump()["augment"] == "rotate(20)+jitter"


def test_an_augmentation_of_a_file_is_named_in_descriptions_and_its_content_is_in_keys_of_results(
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
        several = augmentation_of(TrainingSettings(augment=["jitter", "scaled_in_a_test"]))
        assert isinstance(several, tuple)
        found.append(plugin_identities(Cnn5, "none", augmentation=several))
        keys.append(blocks.key(Windows.of(dataset(), (0,), AugmentedViews(several, 1)), 1, 2))
    assert len(set(keys)) == 4
    assert found[0] == found[1]  # the file alone is no part of this package
    found = [found[0], found[2]]
    assert found[0].keys() == found[1].keys() == {"augmentation"}
    assert found[0] != found[1]
    assert "with augmentation `scaled_in_a_test`" in note(training)
