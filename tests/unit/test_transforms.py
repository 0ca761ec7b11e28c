"""Signal transforms: what each does to a window, and that no window knows of another."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from sslwear import transforms

RANDOM: dict[str, transforms.Transform] = {
    "permute_segments": transforms.permute_segments,
    "time_warp": transforms.time_warp,
    "random_rotations": lambda x, generator: transforms.random_rotations(len(x), generator).to(x) @ x,
    "random_axis_switches": lambda x, generator: transforms.random_axis_switches(len(x), generator).to(x) @ x,
    "jitter": lambda x, generator: transforms.jitter(x, torch.full((len(x),), 0.1), generator),
    "tempo": lambda x, generator: transforms.tempo(x, transforms.random_factors(len(x), generator, 0.5)),
    "white_noise": lambda x, generator: transforms.white_noise(noise_seeds(len(x), generator), x.shape[-1]).to(x),
    "hidden stretch": lambda x, generator: transforms.hide(
        x, transforms.stretches(torch.rand(len(x), generator=generator), x.shape[-1], 15)
    ),
}
ALL: dict[str, transforms.Transform] = {
    **RANDOM,
    "reverse": lambda x, generator: transforms.reverse(x),
    "resize": lambda x, generator: transforms.resize(x, 77),
    "scale_motion": lambda x, generator: transforms.scale_motion(x, torch.rand(len(x), generator=generator)),
    "scale": lambda x, generator: transforms.scale(x, torch.rand(len(x), generator=generator)),
    "flip_axis": lambda x, generator: transforms.flip_axis(x, 1),
    "mirrored_half": lambda x, generator: transforms.mirrored_half(x, torch.rand(len(x), generator=generator) < 0.5),
}

seeds = st.integers(0, 2**32)
lengths = st.integers(40, 200)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_seeds(batch: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2**32, (batch,), generator=generator)


def windows(batch: int, length: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(batch, 3, length, generator=seeded(seed), dtype=dtype)


def ramps(batch: int, length: int) -> Tensor:
    """Windows (B, 3, L) whose samples are their own indices."""
    return torch.arange(length, dtype=torch.float32).expand(batch, 3, length)


def unit_axes(batch: int) -> Tensor:
    """Windows (B, 3, 3) that a linear map of the axes turns into its matrix."""
    return torch.eye(3).expand(batch, 3, 3)


@pytest.mark.parametrize("transform", ALL.values(), ids=ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(batch=st.integers(1, 5), length=lengths, seed=seeds)
def test_shape_and_dtype_are_kept_and_the_input_is_left_alone(
    transform: transforms.Transform, dtype: torch.dtype, batch: int, length: int, seed: int
) -> None:
    x = windows(batch, length, dtype=dtype)
    before = x.clone()
    y = transform(x, seeded(seed))
    assert y.shape == (batch, 3, 77 if transform is ALL["resize"] else length)
    assert y.dtype == dtype
    assert torch.equal(x, before)


@pytest.mark.parametrize("transform", RANDOM.values(), ids=RANDOM)
@given(seed=seeds)
def test_the_generator_alone_decides(transform: transforms.Transform, seed: int) -> None:
    x = windows(16, 60)
    torch.manual_seed(1)
    one = transform(x, seeded(seed))
    torch.manual_seed(2)
    assert torch.equal(transform(x, seeded(seed)), one)
    assert not torch.equal(transform(x, seeded(seed + 1)), one)


@pytest.mark.parametrize("transform", ALL.values(), ids=ALL)
@given(seed=seeds, row=st.integers(0, 4))
def test_no_sample_depends_on_the_values_of_another(transform: transforms.Transform, seed: int, row: int) -> None:
    x, others = windows(5, 80), 100 * windows(5, 80, seed=1)
    others[row] = x[row]
    assert torch.equal(transform(others, seeded(seed))[row], transform(x, seeded(seed))[row])


@pytest.mark.parametrize("transform", RANDOM.values(), ids=RANDOM)
def test_every_sample_of_a_batch_gets_a_draw_of_its_own(transform: transforms.Transform) -> None:
    y = transform(windows(1, 80).expand(50, 3, 80), seeded(0))
    assert len(y.flatten(1).unique(dim=0)) >= 6


@given(length=st.integers(1, 50), seed=seeds)
def test_reversing_turns_time_round_and_leaves_the_axes(length: int, seed: int) -> None:
    x = windows(2, length, seed)
    y = transforms.reverse(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy()[:, :, ::-1])
    assert torch.equal(transforms.reverse(y), x)


@st.composite
def segmentations(draw: st.DrawFn) -> tuple[int, int, int]:
    """Segments, their least length and a window's length in which they find room."""
    segments, least = draw(st.integers(2, 6)), draw(st.integers(1, 20))
    return segments, least, segments * least + draw(st.integers(0, 100))


@given(segmentation=segmentations(), seed=seeds)
def test_segments_of_at_least_the_least_length_change_places_on_all_axes_together(
    segmentation: tuple[int, int, int], seed: int
) -> None:
    segments, least, length = segmentation
    x = windows(8, length)
    x[:, 0] = torch.arange(length)
    y = transforms.permute_segments(x, seeded(seed), segments, least)
    for window, original in zip(y, x, strict=True):
        source = window[0].long()
        assert source.sort().values.tolist() == list(range(length))
        assert torch.equal(window, original[:, source])
        jumps = np.flatnonzero(np.diff(source.numpy()) != 1) + 1
        runs = np.diff([0, *jumps, length])
        assert 2 <= len(runs) <= segments
        assert runs.min() >= least


def test_permutation_by_default_is_of_four_segments_of_at_least_10_samples() -> None:
    source = transforms.permute_segments(ramps(500, 80), seeded(0))[:, 0].numpy()
    runs = [np.diff([0, *(np.flatnonzero(np.diff(row) != 1) + 1), 80]) for row in source]
    assert max(len(run) for run in runs) == 4
    assert min(run.min() for run in runs) == 10


def test_segments_of_short_windows_are_half_of_an_equal_share_or_longer() -> None:
    source = transforms.permute_segments(ramps(500, 30), seeded(0))[:, 0].numpy()
    assert min(np.diff([0, *(np.flatnonzero(np.diff(row) != 1) + 1), 30]).min() for row in source) == 3


@given(seed=seeds, length=st.integers(8, 120))
def test_permutation_never_leaves_a_window_as_it_was(seed: int, length: int) -> None:
    x = ramps(64, length)
    assert (transforms.permute_segments(x, seeded(seed)) != x).any(dim=2).all()


def test_permutation_reaches_every_other_order_of_the_segments() -> None:
    y = transforms.permute_segments(ramps(2000, 40), seeded(0), min_samples=10)[:, 0]
    orders = {tuple(row[::10].long().div(10, rounding_mode="floor").tolist()) for row in y}
    assert orders == set(itertools.permutations(range(4))) - {(0, 1, 2, 3)}


def test_two_segments_that_fill_the_window_change_places() -> None:
    y = transforms.permute_segments(ramps(3, 20), seeded(0), segments=2, min_samples=10)
    assert y[:, 0].tolist() == [[*range(10, 20), *range(10)]] * 3


@pytest.mark.parametrize(("length", "segments", "least"), [(39, 4, 10), (3, 4, 1), (50, 6, 10)])
def test_a_window_too_short_for_its_segments_is_refused(length: int, segments: int, least: int) -> None:
    rule = f"{segments} segments of at least {least} samples need more than {length} samples"
    with pytest.raises(ValueError, match=f"^{rule}$"):
        transforms.permute_segments(ramps(2, length), seeded(0), segments, least)


@given(seed=seeds, length=st.integers(2, 200), sigma=st.floats(0, 0.2), knots=st.integers(2, 8))
def test_warping_keeps_the_endpoints(seed: int, length: int, sigma: float, knots: int) -> None:
    x = windows(4, length)
    y = transforms.time_warp(x, seeded(seed), sigma, knots)
    assert torch.equal(y[..., 0], x[..., 0])
    assert torch.equal(y[..., -1], x[..., -1])


@given(seed=seeds, length=st.integers(20, 900))
def test_warped_time_moves_forward_at_every_sample(seed: int, length: int) -> None:
    y = transforms.time_warp(ramps(16, length), seeded(seed))
    assert y.diff(dim=-1).min() > 0


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0])
def test_warped_time_moves_forward_however_much_it_is_warped(sigma: float) -> None:
    y = transforms.time_warp(ramps(2000, 300), seeded(0), sigma)
    assert y.diff(dim=-1).min() > 0


def test_all_axes_are_warped_by_one_clock() -> None:
    y = transforms.time_warp(ramps(20, 300), seeded(0))
    assert torch.equal(y[:, 0], y[:, 1])
    assert torch.equal(y[:, 0], y[:, 2])


@given(seed=seeds, level=st.floats(-8, 8, width=32), length=st.integers(2, 100))
def test_warping_keeps_a_constant(seed: int, level: float, length: int) -> None:
    x = torch.full((2, 3, length), level)
    assert torch.equal(transforms.time_warp(x, seeded(seed)), x)


@given(seed=seeds, length=st.integers(2, 900))
def test_a_warp_of_no_strength_is_the_identity(seed: int, length: int) -> None:
    torch.testing.assert_close(
        transforms.time_warp(ramps(2, length), seeded(seed), sigma=0), ramps(2, length), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.15])
def test_the_clocks_speed_at_a_knot_varies_by_sigma(sigma: float) -> None:
    y = transforms.time_warp(ramps(4000, 501), seeded(0), sigma)[:, 0]
    speed = (y[:, 101:402:100] - y[:, 99:400:100]) / 2
    ratio = speed[:, 0] / speed[:, 2]
    assert ratio.log().std().item() / math.sqrt(2) == pytest.approx(sigma, rel=0.06)


def test_the_clock_is_warped_by_a_fifth_with_four_knots_unless_told_otherwise() -> None:
    x = windows(4, 300)
    assert torch.equal(transforms.time_warp(x, seeded(0)), transforms.time_warp(x, seeded(0), sigma=0.2, knots=4))


@given(seed=seeds)
def test_rotation_keeps_every_samples_norm(seed: int) -> None:
    x = windows(5, 40)
    torch.testing.assert_close((transforms.random_rotations(len(x), seeded(seed)) @ x).norm(dim=1), x.norm(dim=1))


@given(seed=seeds)
def test_rotation_is_proper_and_one_a_window(seed: int) -> None:
    matrices = transforms.random_rotations(5, seeded(seed))
    torch.testing.assert_close(matrices @ matrices.mT, unit_axes(5), rtol=0, atol=1e-5)
    torch.testing.assert_close(matrices.det(), torch.ones(5), rtol=0, atol=1e-5)


def test_rotations_have_evenly_drawn_angles_and_axes() -> None:
    matrices = transforms.random_rotations(4000, seeded(0)).double()
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    angle = ((trace - 1) / 2).clamp(-1, 1).acos()
    assert stats.kstest(angle.numpy() / math.pi, "uniform").pvalue > 0.01
    height = (matrices[:, 1, 0] - matrices[:, 0, 1]) / (2 * angle.sin())
    assert stats.kstest((height.numpy() + 1) / 2, "uniform").pvalue > 0.01


@pytest.mark.parametrize("most", [10.0, 45.0, 180.0])
def test_rotations_are_by_at_most_the_angle_asked_for(most: float) -> None:
    matrices = transforms.random_rotations(2000, seeded(0), most).double()
    angle = ((matrices.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
    assert 0.98 * most < angle.max().item() <= most * 1.001


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ([0.0, 0.0, 1.0], [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        ([0.0, 1.0, 0.0], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
        ([1.0, 0.0, 0.0], [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    ],
)
def test_a_quarter_turn_follows_the_right_hand(axis: list[float], expected: list[list[float]]) -> None:
    matrix = transforms.rotation_matrices(torch.tensor([axis]), torch.tensor([math.pi / 2]))
    torch.testing.assert_close(matrix, torch.tensor([expected]), rtol=0, atol=1e-6)


@given(seed=seeds)
def test_axis_switch_puts_whole_axes_in_another_order(seed: int) -> None:
    matrices = transforms.random_axis_switches(5, seeded(seed))
    for axis in (1, 2):
        assert torch.equal(matrices.sum(axis), torch.ones(5, 3))
    assert set(matrices.flatten().tolist()) == {0, 1}


def test_axis_switch_draws_all_six_orders_evenly() -> None:
    matrices = transforms.random_axis_switches(6000, seeded(0))
    orders, counts = matrices.argmax(dim=2).unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


@given(length=st.integers(1, 60), samples=st.integers(1, 120), seed=seeds)
def test_resizing_is_linear_interpolation_between_kept_endpoints(length: int, samples: int, seed: int) -> None:
    x = windows(2, length, seed, torch.float64)
    at = np.linspace(0, length - 1, samples)
    expected = np.apply_along_axis(lambda signal: np.interp(at, np.arange(length), signal), -1, x.numpy())
    np.testing.assert_allclose(transforms.resize(x, samples).numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("as_target", [torch.Tensor.bool, torch.Tensor.long], ids=["bool", "int"])
@given(chosen=st.lists(st.booleans(), min_size=1, max_size=6))
def test_where_picks_whole_windows(as_target: Callable[[Tensor], Tensor], chosen: list[bool]) -> None:
    x, changed = windows(len(chosen), 7), windows(len(chosen), 7, seed=1)
    y = transforms.where(as_target(torch.tensor(chosen)), changed, x)
    for i, choice in enumerate(chosen):
        assert torch.equal(y[i], changed[i] if choice else x[i])


@given(seed=seeds, factor=st.floats(0.1, 10), length=lengths)
def test_scaling_keeps_the_mean_multiplies_what_departs_from_it_and_can_be_undone(
    seed: int, factor: float, length: int
) -> None:
    x = windows(3, length, seed, torch.float64) + 1
    factors = torch.tensor([factor, 1.0, 2.0], dtype=torch.float64)
    y = transforms.scale_motion(x, factors)
    torch.testing.assert_close(y.mean(dim=-1), x.mean(dim=-1))
    torch.testing.assert_close(y.std(dim=-1), factors.view(-1, 1) * x.std(dim=-1))
    torch.testing.assert_close(transforms.scale_motion(y, 1 / factors), x)


def test_jitter_is_white_noise_of_each_windows_own_strength() -> None:
    x, sigma = windows(3, 4000), torch.tensor([0.0, 0.1, 1.0])
    noise = transforms.jitter(x, sigma, seeded(1)) - x
    assert torch.equal(noise[0], torch.zeros(3, 4000))
    torch.testing.assert_close(noise.std(dim=-1), sigma.view(-1, 1).expand(3, 3), rtol=0.05, atol=0)
    assert noise[1:].mean().abs() < 0.05
    assert stats.kstest((noise[2] / 1.0).flatten().numpy(), "norm").pvalue > 0.01
    neighbours = (noise[2, :, 1:] * noise[2, :, :-1]).mean()
    assert neighbours.abs() < 0.03


@given(seed=seeds)
def test_the_visible_mean_does_not_know_what_is_hidden(seed: int) -> None:
    x = windows(4, 60, seed, torch.float64)
    hidden = transforms.stretches(torch.rand(4, generator=seeded(seed)), 60, 18)
    expected = torch.stack([window[:, ~where].mean(dim=1) for window, where in zip(x, hidden, strict=True)])
    torch.testing.assert_close(transforms.visible_mean(x, hidden).squeeze(-1), expected)
    spoiled = torch.where(hidden.unsqueeze(1), torch.inf, x)
    assert torch.equal(transforms.visible_mean(spoiled, hidden), transforms.visible_mean(x, hidden))


@pytest.mark.parametrize(
    ("length", "late", "expected"),
    [
        (6, True, [0, 1, 2, 2, 1, 0]),
        (6, False, [5, 4, 3, 3, 4, 5]),
        (7, True, [0, 1, 2, 3, 3, 2, 1]),
        (7, False, [5, 4, 3, 3, 4, 5, 6]),
    ],
)
def test_a_half_is_replaced_by_the_mirror_image_of_the_other(length: int, late: bool, expected: list[int]) -> None:
    y = transforms.mirrored_half(ramps(2, length), torch.tensor([late, not late]))
    assert y[0].tolist() == [expected] * 3
    assert y[0].tolist() != y[1].tolist()


@given(length=lengths, batch=st.integers(1, 4))
def test_a_window_at_its_own_speed_or_scale_is_the_same(length: int, batch: int) -> None:
    x = windows(batch, length)
    assert torch.equal(transforms.tempo(x, torch.ones(batch)), x)
    assert torch.equal(transforms.scale(x, torch.ones(batch)), x)


@given(length=lengths, speed=st.floats(0.1, 1))
def test_a_slower_window_is_its_own_middle(length: int, speed: float) -> None:
    middle = (length - 1) / 2
    expected = middle + speed * (torch.arange(length, dtype=torch.float64) - middle)
    found = transforms.tempo(ramps(1, length).double(), torch.tensor([speed], dtype=torch.float64))
    torch.testing.assert_close(found[0], expected.expand(3, -1))


@given(length=lengths, speed=st.floats(1, 3))
def test_a_faster_window_goes_on_with_its_mirror_image(length: int, speed: float) -> None:
    x = windows(1, length, dtype=torch.float64)
    middle = (length - 1) / 2
    wanted = middle + speed * (np.arange(length) - middle)
    mirrored = np.pad(x[0].numpy(), ((0, 0), (length - 1, length - 1)), mode="reflect")
    places = np.arange(mirrored.shape[1]) - (length - 1)
    expected = [np.interp(wanted, places, axis) for axis in mirrored]
    found = transforms.tempo(x, torch.tensor([speed], dtype=torch.float64))
    np.testing.assert_allclose(found[0], expected, atol=1e-9)


@given(seed=seeds, share=st.floats(0.01, 1))
def test_factors_are_spread_evenly_around_one(seed: int, share: float) -> None:
    factors = transforms.random_factors(4000, seeded(seed), share)
    assert (factors - 1).abs().max() <= share * (1 + 1e-5)
    assert factors.mean().item() == pytest.approx(1, abs=0.05 * share)
    assert factors.std().item() == pytest.approx(share / math.sqrt(3), rel=0.05)


@given(seed=seeds, samples=st.integers(300, 900))
def test_noise_is_standard_normal_and_independent_in_time_axes_and_windows(seed: int, samples: int) -> None:
    noise = transforms.white_noise(noise_seeds(200, seeded(seed)), samples).double()
    values = noise.flatten()
    assert values.mean().item() == pytest.approx(0, abs=6 / math.sqrt(len(values)))
    assert values.std().item() == pytest.approx(1, abs=6 / math.sqrt(2 * len(values)))
    assert stats.kstest(values.numpy(), "norm").pvalue > 1e-9
    for one, other in (
        (noise[..., 1:], noise[..., :-1]),
        (noise[..., 7:], noise[..., :-7]),
        (noise[:, 1:], noise[:, :-1]),
        (noise[1:], noise[:-1]),
    ):
        assert (one * other).mean().item() == pytest.approx(0, abs=6 / math.sqrt(one.numel()))


def test_noise_of_neighbouring_seeds_is_as_different_as_any() -> None:
    noise = transforms.white_noise(torch.tensor([0, 1, 2, 2**31, 2**32 - 1]), 900).flatten(1)
    assert (torch.corrcoef(noise) - torch.eye(5)).abs().max() < 6 / math.sqrt(2700)
    assert noise.isfinite().all()


def hashed(value: int) -> int:
    """The hash of a whole number, in Python's numbers, which do not overflow."""
    value ^= value >> 16
    value = value * 0x7FEB352D % 2**32
    value ^= value >> 15
    value = value * 0x846CA68B % 2**32
    return value ^ value >> 16


@given(seed=st.integers(0, 2**32 - 1))
def test_noise_follows_from_seed_and_place(seed: int) -> None:
    uniform = [(2 * (hashed(hashed(place) ^ seed) >> 9) + 1) / 2**24 for place in range(3 * 40)]
    found = transforms.white_noise(torch.tensor([5, seed]), 40)[1]
    np.testing.assert_allclose(found.flatten(), stats.norm.ppf(uniform), atol=1e-4)


@given(length=lengths, samples=st.integers(1, 39), place=st.floats(0, 1, width=32))
def test_a_stretch_has_its_length_and_place(length: int, samples: int, place: float) -> None:
    hidden = transforms.stretches(torch.tensor([place]), length, samples)[0]
    (inside,) = hidden.nonzero(as_tuple=True)
    first = int(inside[0])
    assert inside.tolist() == list(range(first, first + samples))
    assert abs(first - place * (length - samples)) <= 1


def test_stretches_begin_everywhere_alike() -> None:
    hidden = transforms.stretches(torch.rand(8000, generator=seeded(0)), 12, 5)
    starts = hidden.int().argmax(dim=1)
    assert stats.chisquare(torch.bincount(starts, minlength=8).numpy()).pvalue > 1e-4


@given(axis=st.integers(0, 2), seed=seeds)
def test_flipping_an_axis_changes_its_sign_only(axis: int, seed: int) -> None:
    x = windows(2, 40, seed)
    y = transforms.flip_axis(x, axis)
    others = [other for other in range(3) if other != axis]
    assert torch.equal(y[:, axis], -x[:, axis])
    assert torch.equal(y[:, others], x[:, others])
