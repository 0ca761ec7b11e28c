"""Contract of augmentations, to be run by pytest."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from sslwear.augmentations.base import Augmentation
from sslwear.testing.synthetic import seeded

COUNT = 32


def windows(samples: int = 150) -> Tensor:
    """Windows (COUNT, 3, samples) of random motion around gravity, in g."""
    motion = 0.3 * torch.randn(COUNT, 3, samples, generator=seeded(1))
    return motion + torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1)


class AugmentationContract:
    """What every augmentation has to fulfil: views can be computed again, and windows do not depend on each other.

    A test module subclasses it::

        class TestMyAugmentation(AugmentationContract):
            augmentation = MyAugmentation
    """

    augmentation: ClassVar[type[Augmentation]]

    def test_two_of_them_have_the_same_text_for_keys_of_results(self) -> None:
        assert repr(self.augmentation()) == repr(self.augmentation())

    @pytest.mark.parametrize("count", [1, 2, COUNT])
    def test_parameters_are_drawn_for_each_window_on_the_cpu(self, count: int) -> None:
        drawn = self.augmentation().draw(count, seeded())
        assert len(drawn) == count
        assert drawn.device.type == "cpu"

    @pytest.mark.parametrize("samples", [150, 300, 900])
    def test_windows_keep_shape_and_type_and_are_not_changed_in_place(self, samples: int) -> None:
        augmentation, x = self.augmentation(), windows(samples)
        changed = augmentation.apply(x, augmentation.draw(COUNT, seeded()))
        assert changed.shape == x.shape
        assert changed.dtype == x.dtype
        assert changed.isfinite().all()
        assert torch.equal(x, windows(samples))

    def test_windows_are_changed_differently_by_another_seed(self) -> None:
        augmentation, x = self.augmentation(), windows()
        one, other = (augmentation.apply(x, augmentation.draw(COUNT, seeded(seed))) for seed in (0, 1))
        assert not torch.equal(one, x)
        assert not torch.equal(one, other)

    def test_windows_of_a_view_are_changed_differently(self) -> None:
        augmentation, x = self.augmentation(), windows()[:1].expand(COUNT, -1, -1).contiguous()
        changed = augmentation.apply(x, augmentation.draw(COUNT, seeded()))
        assert not torch.equal(changed, changed[:1].expand_as(changed))

    def test_the_same_seed_gives_the_same_bits_and_no_other_random_numbers_are_used(self) -> None:
        augmentation, x = self.augmentation(), windows()
        found = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            drawn = augmentation.draw(COUNT, seeded())
            found += [augmentation.apply(x, drawn), augmentation.apply(x, drawn)]
            assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(changed, found[0]) for changed in found)

    @pytest.mark.parametrize("size", [1, 5, COUNT])
    def test_a_window_is_changed_in_the_same_way_in_every_batch(self, size: int) -> None:
        augmentation, x = self.augmentation(), windows()
        drawn = augmentation.draw(COUNT, seeded())
        whole = augmentation.apply(x, drawn)
        order = torch.randperm(COUNT, generator=seeded(2))
        for first in range(0, COUNT, size):
            chosen = order[first : first + size]
            torch.testing.assert_close(augmentation.apply(x[chosen], drawn[chosen]), whole[chosen], rtol=0, atol=1e-6)
