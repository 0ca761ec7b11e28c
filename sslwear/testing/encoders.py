"""Contract of encoders, to be run by pytest."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.heads import HEADS, Classifier, classifier

BLOCKS = ("layer1", "layer2", "layer3", "layer4", "layer5")


def windows(encoder: Encoder, batch: int, seed: int = 0) -> Tensor:
    """Random windows (batch, 3, samples)."""
    return torch.randn(batch, 3, encoder.window_samples, generator=torch.Generator().manual_seed(seed))


class EncoderContract:
    """What every encoder has to fulfil: five named blocks, features of the given size, tensors that can be loaded.

    A test module subclasses it::

        class TestMyEncoder(EncoderContract):
            encoder = MyEncoder
    """

    encoder: ClassVar[type[Encoder]]

    def new(self) -> Encoder:
        """A new encoder with the same weights in each test, in evaluation mode."""
        torch.manual_seed(0)
        return self.encoder().eval()

    def test_it_has_five_blocks_in_order(self) -> None:
        encoder = self.new()
        assert encoder.block_names() == BLOCKS
        assert tuple(name for name, _ in encoder.feature_extractor.named_children()) == BLOCKS

    def test_every_block_has_something_to_learn(self) -> None:
        encoder = self.new()
        counts = [len(list(block.parameters())) for block in encoder.feature_extractor.children()]
        assert min(counts) > 0
        assert sum(counts) == len(list(encoder.parameters()))

    @pytest.mark.parametrize("batch", [1, 3])
    @torch.no_grad()
    def test_it_turns_windows_into_its_features(self, batch: int) -> None:
        encoder = self.new()
        features = encoder(windows(encoder, batch))
        assert features.shape == (batch, encoder.features)
        assert features.dtype == torch.float32
        assert features.isfinite().all()

    @torch.no_grad()
    def test_features_tell_windows_apart_and_do_not_depend_on_the_batch(self) -> None:
        encoder = self.new()
        x = windows(encoder, 3)
        features = encoder(x)
        assert not torch.allclose(features[0], features[1])
        torch.testing.assert_close(encoder(x[1:2]), features[1:2], rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_its_tensors_load_into_another_one(self) -> None:
        encoder = self.new()
        x, other = windows(encoder, 2), type(encoder)().eval()
        assert not torch.equal(other(x), encoder(x))
        other.load_state_dict(encoder.state_dict())
        assert torch.equal(other(x), encoder(x))

    def test_gradient_reaches_every_parameter(self) -> None:
        encoder = self.new()
        encoder.train()
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        encoder(windows(encoder, 4)).square().sum().backward()
        without = [
            name for name, parameter in encoder.named_parameters() if parameter.grad is None or not parameter.grad.any()
        ]
        encoder.zero_grad()
        encoder.load_state_dict(before)
        assert without == []

    @torch.no_grad()
    def test_a_network_is_the_encoder_itself_with_a_head_on_it(self) -> None:
        encoder = self.new()
        head = Classifier(encoder.features, 4)
        network = Network(encoder, head).eval()
        assert tuple(network.blocks) == BLOCKS
        assert network.blocks["layer5"] is encoder.feature_extractor.layer5
        x = windows(encoder, 2)
        assert torch.equal(network(x), head(encoder(x)))

    @torch.no_grad()
    @pytest.mark.parametrize("kind", HEADS)
    def test_an_untrained_network_guesses(self, kind: str) -> None:
        encoder = self.new().train()
        labels = torch.arange(64) % 5
        logits = Network(encoder, classifier(kind, encoder.features, 5))(windows(encoder, 64))
        loss = torch.nn.functional.cross_entropy(logits, labels)
        assert float(loss) == pytest.approx(math.log(5), abs=0.3)

    @torch.no_grad()
    def test_the_first_block_sees_small_motion_about_gravity_in_bf16(self) -> None:
        """Motion of 2 mg about 1 g comes through as in float32, up to the rounding of the motion itself."""
        encoder = self.new()
        network = Network(encoder, nn.Identity())
        motion = 0.002 * windows(encoder, 4)
        still = torch.tensor([0.3, -0.5, 0.81]).view(1, 3, 1).expand_as(motion)
        wanted = network.forward_blocks(still + motion, 0, 1) - network.forward_blocks(still, 0, 1)
        with torch.autocast("cpu", torch.bfloat16):
            moved, rest = network.forward_blocks(still + motion, 0, 1), network.forward_blocks(still, 0, 1)
        assert moved.dtype == torch.float32
        assert (moved - rest - wanted).norm() < 2**-8 * wanted.norm()
