"""Contract of augmentations, to be run by pytest."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from sslwear.augmentations.base import Augmentation, forms_of
from sslwear.errors import SettingsError
from sslwear.testing.synthetic import seeded
from sslwear.training.device import deterministic

COUNT = 32
MOST_NUMBERS = 32
"""Largest number of parameters of a window."""


def windows(samples: int = 150) -> Tensor:
    """Windows (COUNT, 3, samples) of random motion around gravity, in g."""
    motion = 0.3 * torch.randn(COUNT, 3, samples, generator=seeded(1))
    return motion + torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1)


class AugmentationContract:
    """What every augmentation has to fulfil: views can be computed again, and windows do not depend on each other.

    Each test runs for every example of a text in a study file, or for the name if there are no examples. A test module
    subclasses it::

        class TestMyAugmentation(AugmentationContract):
            augmentation = MyAugmentation
    """

    augmentation: ClassVar[type[Augmentation]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for the examples of the augmentation."""
        if "made" in metafunc.fixturenames:
            metafunc.parametrize("made", self.texts(), indirect=True)

    @pytest.fixture
    def made(self, request: pytest.FixtureRequest) -> Augmentation:
        """The augmentation of a text."""
        return self.read(request.param)

    @classmethod
    def texts(cls) -> tuple[str, ...]:
        """Texts of the augmentation in a study file."""
        return cls.augmentation.examples or (cls.augmentation.name,)

    def read(self, text: str) -> Augmentation:
        """The augmentation of a text, which must be of this class."""
        made = self.augmentation.parse(text)
        assert made is not None
        assert type(made) is self.augmentation
        return made

    def test_its_name_is_a_text_without_a_number(self) -> None:
        assert self.read(self.augmentation.name) == self.augmentation()

    def test_there_is_an_example_of_each_form(self) -> None:
        for form in forms_of(self.augmentation):
            name, bracket, _ = form.partition("(")
            numbered = [text for text in self.texts() if text.startswith(f"{name}(")]
            assert numbered if bracket else name in self.texts()

    def test_texts_of_others_are_not_read(self) -> None:
        for text in self.texts():
            name = text.partition("(")[0]
            assert self.augmentation.parse(f"x{name}") is None
            assert self.augmentation.parse(f"{name}x(1)") is None

    def test_augmentations_that_differ_have_different_texts_for_keys_of_results(self) -> None:
        made = [self.read(text) for text in self.texts()]
        assert all((repr(one) == repr(other)) == (one == other) for one in made for other in made)
        if self.augmentation.form:
            assert len({repr(one) for one in made}) > 1, "give an example with another number than the default"

    def test_a_number_that_cannot_be_read_is_refused_with_the_form(self) -> None:
        form = self.augmentation.form
        name = form.partition("(")[0]
        for wrong in ("", "x", "nan", "1, 2") if form else ():
            with pytest.raises(SettingsError) as error:
                self.augmentation.parse(f"{name}({wrong})")
            assert form in str(error.value)

    def test_two_of_them_have_the_same_text_for_keys_of_results(self) -> None:
        for text in self.texts():
            assert repr(self.read(text)) == repr(self.read(text))

    @pytest.mark.parametrize("count", [1, 2, COUNT])
    def test_a_few_parameters_are_drawn_for_each_window_on_the_cpu(self, made: Augmentation, count: int) -> None:
        drawn = made.draw(count, seeded())
        assert len(drawn) == count
        assert drawn.numel() <= count * MOST_NUMBERS
        assert drawn.device.type == "cpu"

    @pytest.mark.parametrize("samples", [150, 300, 900])
    def test_windows_keep_shape_and_type_and_are_not_changed_in_place(self, made: Augmentation, samples: int) -> None:
        x = windows(samples)
        changed = made.apply(x, made.draw(COUNT, seeded()))
        assert changed.shape == x.shape
        assert changed.dtype == x.dtype
        assert changed.isfinite().all()
        assert torch.equal(x, windows(samples))

    def test_windows_are_changed_differently_by_another_seed(self, made: Augmentation) -> None:
        x = windows()
        one, other = (made.apply(x, made.draw(COUNT, seeded(seed))) for seed in (0, 1))
        assert not torch.equal(one, x)
        assert not torch.equal(one, other)

    def test_windows_of_a_view_are_changed_differently(self, made: Augmentation) -> None:
        x = windows()[:1].expand(COUNT, -1, -1).contiguous()
        changed = made.apply(x, made.draw(COUNT, seeded()))
        assert not torch.equal(changed, changed[:1].expand_as(changed))

    def test_the_same_seed_gives_the_same_bits_and_no_other_random_numbers_are_used(self, made: Augmentation) -> None:
        x, found = windows(), []
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            drawn = made.draw(COUNT, seeded())
            found += [made.apply(x, drawn), made.apply(x, drawn)]
            assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(changed, found[0]) for changed in found)

    @pytest.mark.parametrize("size", [1, 5, COUNT])
    def test_a_window_is_changed_in_the_same_way_in_every_batch(self, made: Augmentation, size: int) -> None:
        x, drawn = windows(), made.draw(COUNT, seeded())
        whole = made.apply(x, drawn)
        order = torch.randperm(COUNT, generator=seeded(2))
        for first in range(0, COUNT, size):
            chosen = order[first : first + size]
            torch.testing.assert_close(made.apply(x[chosen], drawn[chosen]), whole[chosen], rtol=0, atol=1e-6)

    def test_a_window_does_not_depend_on_the_others(self, made: Augmentation) -> None:
        x, drawn = windows(), made.draw(COUNT, seeded())
        others = x.clone()
        others[1:] = torch.nan
        assert torch.equal(made.apply(others, drawn)[0], made.apply(x, drawn)[0])

    def test_it_works_with_deterministic_algorithms_only(self, made: Augmentation) -> None:
        with deterministic(torch.device("cpu")):
            made.apply(windows(), made.draw(COUNT, seeded()))
