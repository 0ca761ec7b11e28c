"""Contract of pretext tasks, to be run by pytest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from sslwear.encoders.base import Encoder, Network
from sslwear.encoders.cnn import Cnn10
from sslwear.encoders.harnet import Harnet5
from sslwear.encoders.heads import LinearHeads
from sslwear.encoders.multiscale import Multiscale
from sslwear.pretext.base import CHANCE, LevelTask, PretextTask, QuestionTask, TransformTask
from sslwear.testing.batches import BATCH, FEATURES, answers, batch, by_window, scored, windows
from sslwear.testing.synthetic import SAMPLES, SmallEncoder, fitted, seeded
from sslwear.training.device import seeded as seeded_weights

MOST_KEPT = 8
"""Largest number of values that evaluation keeps of a row."""


class PretextTaskContract:
    """What every pretext task has to fulfil: batches, head, loss, scores beside chance; something can be learnt.

    A test module subclasses it::

        class TestMyTask(PretextTaskContract):
            task = MyTask
    """

    task: ClassVar[type[PretextTask]]

    def new(self, *kinds: type[PretextTask]) -> PretextTask:
        """A new task; the test is skipped for tasks of other kinds."""
        if kinds and not issubclass(self.task, kinds):
            pytest.skip(f"for {' and '.join(kind.__name__ for kind in kinds)}")
        return self.task()

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Networks as small as these take longer on several cores."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)

    def test_it_says_in_a_line_what_it_asks(self) -> None:
        task = self.new()
        assert 10 < len(task.title) < 100
        assert "\n" not in task.title

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("samples", [150, 300, 900])
    def test_a_batch_is_windows_of_the_same_kind_and_leaves_those_it_is_made_of_alone(
        self, training: bool, samples: int
    ) -> None:
        task = self.new()
        x = windows(samples=samples)
        inputs, target = task.batch(x, torch.zeros(BATCH, dtype=torch.long), seeded(), training)
        assert inputs.shape[1:] == x.shape[1:]
        assert len(inputs) % BATCH == 0
        assert len(target) == len(inputs)
        assert inputs.dtype == x.dtype
        assert inputs.isfinite().all()
        assert torch.equal(x, windows(samples=samples))

    def test_a_loss_is_the_sum_of_those_of_the_windows_unless_it_says_otherwise(self) -> None:
        """Several processes each compute the loss of their windows."""
        task = self.new()
        target = batch(task)[1]
        if task.across:
            pytest.skip("the loss of a window depends on the others")
        output, half = answers(task, len(target)), len(target) // 2
        parts = [task.loss(output[side], target[side]) for side in (slice(half), slice(half, None))]
        for whole, first, second in zip(task.loss(output, target), *parts, strict=True):
            assert torch.allclose(whole, first + second, rtol=1e-4)

    def test_a_batch_of_one_window_will_do(self) -> None:
        task = self.new()
        inputs, target = task.batch(windows()[:1], torch.zeros(1, dtype=torch.long), seeded(), training=True)
        loss, weight = task.loss(answers(task, len(inputs)), target)
        assert (loss / weight).isfinite()

    @pytest.mark.parametrize("kind", [Cnn10, Harnet5, Multiscale], ids=lambda kind: kind.name)
    @torch.no_grad()
    def test_an_untrained_network_guesses(self, kind: type[Encoder]) -> None:
        """The first loss is within 0.1 of that of equal answers for all windows.

        Tasks that compare windows may begin below it: even with random weights, two views of a window are more alike
        than views of different windows, and the temperature of `contrastive` multiplies that difference by ten.
        """
        task = self.new()
        with seeded_weights(0):
            encoder = kind().train()
            network = Network(encoder, task.head(encoder.features))
        inputs, target = batch(task)
        output = network(inputs)
        first, equal = (loss / weight for loss, weight in (task.loss(output, target), task.loss(0 * output, target)))
        assert first < equal + 0.1
        assert task.across or first > equal - 0.1

    def test_the_generator_alone_decides(self) -> None:
        task = self.new()
        torch.manual_seed(1)
        inputs, target = batch(task, seed=3)
        torch.manual_seed(2)
        again, same_target = batch(task, seed=3)
        assert torch.equal(again, inputs)
        assert np.array_equal(same_target.numpy(), target.numpy(), equal_nan=target.is_floating_point())
        assert not torch.equal(batch(task, seed=4)[0], inputs)

    def test_labels_are_not_looked_at(self) -> None:
        task = self.new()
        inputs, target = batch(task)
        again, same_target = task.batch(windows(), torch.arange(BATCH), seeded(), training=True)
        assert torch.equal(again, inputs)
        assert np.array_equal(same_target.numpy(), target.numpy(), equal_nan=target.is_floating_point())

    def test_no_window_of_a_batch_depends_on_the_values_of_another(self) -> None:
        task = self.new()
        inputs, target = batch(task)
        others = 100 * windows(seed=1)
        others[::2] = windows()[::2]
        again, other_target = task.batch(others, torch.zeros(BATCH, dtype=torch.long), seeded(), training=True)
        assert torch.equal(by_window(again)[::2], by_window(inputs)[::2])
        one, other = by_window(target)[::2].numpy(), by_window(other_target)[::2].numpy()
        assert np.array_equal(one, other, equal_nan=target.is_floating_point())

    def test_every_answer_is_right_about_equally_often(self) -> None:
        task: Any = self.new(TransformTask, LevelTask)
        targets = torch.cat([batch(task, seed)[1] for seed in range(20)])
        assert targets.dtype == torch.int64
        assert targets.shape[1] == len(task.questions())
        for column in targets.T:
            shares = column.bincount(minlength=task.choices).double() / len(column)
            assert shares.tolist() == pytest.approx([1 / task.choices] * task.choices, abs=0.05)

    def test_questions_are_asked_whatever_the_others_answers_are(self) -> None:
        task: Any = self.new(TransformTask)
        targets = torch.cat([batch(task, seed)[1] for seed in range(20)])
        assert len(torch.unique(targets, dim=0)) == 2 ** targets.shape[1]

    def test_windows_that_nothing_was_done_to_are_the_same_bit_by_bit_and_the_others_are_not(self) -> None:
        task: Any = self.new(TransformTask, LevelTask)
        inputs, target = batch(task)
        untouched = (target == 0).all(dim=1)
        assert 0 < untouched.sum() < BATCH
        assert torch.equal((inputs == windows()).all(dim=(1, 2)), untouched)

    def test_each_level_has_a_name_and_does_something_else(self) -> None:
        task: Any = self.new(LevelTask)
        assert len(set(task.level_names())) == task.choices
        x = windows()[:1].expand(task.choices, 3, SAMPLES)
        made = task.apply(x, torch.arange(task.choices), seeded())
        assert len(made.flatten(1).unique(dim=0)) == task.choices

    def test_the_head_learns_from_the_loss_and_passes_the_gradient_on(self) -> None:
        task = self.new()
        inputs, target = batch(task)
        torch.manual_seed(0)
        head, features = task.head(FEATURES), torch.randn(len(inputs), FEATURES, requires_grad=True)
        output = head(features)
        loss, weight = task.loss(output, target)
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        assert output.isfinite().all()
        assert loss.isfinite()
        assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []
        assert features.grad is not None
        assert features.grad.isfinite().all()
        assert features.grad.any(dim=1).all()

    def test_the_loss_of_a_batch_is_the_sum_over_its_windows_unless_they_are_compared(self) -> None:
        task = self.new()
        _, target = batch(task)
        output = answers(task, len(target), torch.float64)
        loss, weight = task.loss(output, target)
        assert weight.item() == len(target)
        if len(target) > BATCH:  # each row's loss is relative to the others
            return
        single = [task.loss(output[i : i + 1], target[i : i + 1]) for i in range(BATCH)]
        assert loss.item() == pytest.approx(sum(part.item() for part, _ in single), rel=1e-9)
        mean = sum((part / of).item() for part, of in single) / BATCH
        assert (loss / weight).item() == pytest.approx(mean, rel=1e-9)

    def test_descending_the_loss_makes_the_headline_better(self) -> None:
        task = self.new()
        _, target = batch(task)
        output = answers(task, len(target)).requires_grad_()
        before, optimizer = scored(task, output.detach(), target), torch.optim.Adam([output], lr=0.02)
        for _ in range(30):
            optimizer.zero_grad()
            task.loss(output, target)[0].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        after = scored(task, output.detach(), target)
        assert before[task.headline] + 0.1 < after[task.headline] <= 1

    def test_descending_the_loss_of_classes_makes_all_predictions_right(self) -> None:
        task: Any = self.new(QuestionTask)
        output, target = answers(task).requires_grad_(), batch(task)[1]
        loss, _ = task.loss(output, target)
        (slope,) = torch.autograd.grad(loss, output)
        assert not torch.equal(task.predict(output), target)
        assert torch.equal(task.predict(output - 1000 * slope), target)

    def test_each_question_is_answered_by_its_own_head(self) -> None:
        task: Any = self.new(QuestionTask)
        torch.manual_seed(0)
        head, features = task.head(FEATURES), torch.randn(BATCH, FEATURES)
        assert isinstance(head, LinearHeads)
        for i, own in enumerate(head.values()):
            assert isinstance(own, nn.Linear)
            before = task.predict(head(features))
            with torch.no_grad():
                own.weight.neg_()
                own.bias.neg_()
            turned = task.predict(head(features)) != before
            assert turned.all(dim=0).nonzero().flatten().tolist() == [i]
            assert turned.any(dim=0).nonzero().flatten().tolist() == [i]

    def test_evaluation_keeps_a_few_numbers_of_each_row(self) -> None:
        task = self.new()
        inputs, target = batch(task)
        truth, predicted = task.answers(answers(task, len(inputs)), target)
        assert truth.shape == predicted.shape
        assert truth.dtype == predicted.dtype
        assert len(truth) == len(inputs)
        assert truth.numel() <= MOST_KEPT * len(inputs)
        assert truth.isfinite().all()
        assert predicted.isfinite().all()

    def test_perfect_answers_score_1_and_wrong_ones_no_more_than_chance(self) -> None:
        task = self.new()
        _, target = batch(task)
        truth = task.answers(answers(task, len(target)), target)[0].numpy()
        perfect = task.scores(truth, truth)
        assert {value for name, value in perfect.items() if name != CHANCE} == {1}
        wrong = task.scores(truth, -truth - 1)
        assert wrong.keys() == perfect.keys()
        assert wrong[task.headline] <= wrong[CHANCE] == perfect[CHANCE]

    def test_who_learnt_nothing_scores_about_chance(self) -> None:
        task = self.new()
        _, target = batch(task)
        scores = scored(task, answers(task, len(target)), target)
        assert 0 <= scores[CHANCE] < 1
        assert scores[task.headline] < scores[CHANCE] + 0.15

    def test_scores_are_numbers_that_a_tracker_takes(self) -> None:
        task = self.new()
        _, target = batch(task)
        scores = scored(task, answers(task, len(target)), target)
        assert {type(score) for score in scores.values()} == {float}
        assert {task.headline, CHANCE} <= scores.keys()
        assert all(math.isfinite(score) for score in scores.values())

    def test_examples_show_windows_that_were_changed(self) -> None:
        task = self.new()
        x = windows()[:1]
        examples = task.examples(x, seeded())
        assert torch.equal(x, windows()[:1])
        assert examples
        assert len({example.title for example in examples}) == len(examples) or len(examples) == 2
        for example in examples:
            assert example.window.shape == (3, SAMPLES)
            changed = (example.window != x[0]).any(dim=0)
            assert changed.any()
            if example.hidden is not None:
                assert 0 < example.hidden.sum() < SAMPLES
                assert not changed[~example.hidden].any()

    def test_something_is_learnt_from_it(self) -> None:
        task = self.new()
        result = fitted(task)
        best = max(record.scores[task.headline] for record in result.history)
        chance = result.validation.scores[CHANCE]
        assert best > chance + 0.25 * (1 - chance)
        assert result.history[-1].train_loss < result.history[0].train_loss

    def test_it_trains_what_is_tuned_and_leaves_the_rest_as_it_is_to_the_bit(self) -> None:
        task = self.new()
        with seeded_weights(0):
            start = SmallEncoder().state_dict()
        result, again = (fitted(task, "layer5", max_epochs=2) for _ in range(2))
        assert [replace(r, seconds=0) for r in result.history] == [replace(r, seconds=0) for r in again.history]
        for key, value in result.network.state_dict().items():
            if key.startswith("feature_extractor.") and not key.endswith("num_batches_tracked"):
                assert torch.equal(value, start[key]) == ("layer5" not in key), key
