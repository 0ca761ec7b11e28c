"""Augmentations of the package fulfil the contract, and rotations are what they should be."""

import pytest
import torch

from sslwear import transforms
from sslwear.augmentations import base
from sslwear.augmentations.base import Augmentation
from sslwear.augmentations.rotation import Rotation
from sslwear.testing.augmentations import AugmentationContract, windows
from sslwear.testing.synthetic import seeded

AUGMENTATIONS = base.find()

for _name, _augmentation in AUGMENTATIONS.items():
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (AugmentationContract,), {"augmentation": _augmentation})


def test_there_are_augmentations() -> None:
    assert AUGMENTATIONS["rotation"] is Rotation


@pytest.mark.parametrize(("name", "augmentation"), AUGMENTATIONS.items(), ids=AUGMENTATIONS)
def test_it_is_found_by_its_name_and_says_what_it_does_in_one_line(name: str, augmentation: type[Augmentation]) -> None:
    assert augmentation.name == name
    assert base.parse(name) == augmentation()
    assert (augmentation.__doc__ or "").splitlines()[0].endswith(".")


def test_a_rotation_to_any_orientation_mirrors_half_of_the_windows_and_keeps_their_norms() -> None:
    matrices = Rotation().draw(2000, seeded())
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand(2000, 3, 3), rtol=0, atol=1e-5)
    assert (matrices.det() < 0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_rotation_by_a_few_degrees_does_not_change_the_order_of_axes() -> None:
    matrices = Rotation(most_degrees=20).draw(50, seeded())
    assert torch.equal(matrices, transforms.random_rotations(50, seeded(), 20))


def test_a_rotation_multiplies_each_window_by_its_matrix() -> None:
    x, matrices = windows(), Rotation().draw(len(windows()), seeded())
    expected = torch.stack([matrix @ window for matrix, window in zip(matrices, x, strict=True)])
    torch.testing.assert_close(Rotation().apply(x, matrices), expected)
