"""What every pretext task owes to the training loop: batches, a head, a loss that adds up, and scores."""

import pytest
import torch
from torch import Tensor

from sslwear import plugins
from sslwear.encoders.heads import LinearHeads
from sslwear.errors import SettingsError
from sslwear.pretext import base
from sslwear.pretext.base import PretextTask, TransformTask

TASKS = plugins.find("sslwear.pretext", PretextTask)
BATCH, SAMPLES, FEATURES = 64, 150, 32


@pytest.fixture(params=TASKS.items(), ids=lambda item: item[0])
def named(request: pytest.FixtureRequest) -> tuple[str, PretextTask]:
    name, task = request.param
    return name, task()


@pytest.fixture
def task(named: tuple[str, PretextTask]) -> PretextTask:
    return named[1]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def windows(seed: int = 0) -> Tensor:
    return torch.randn(BATCH, 3, SAMPLES, generator=seeded(seed))


def batch(task: PretextTask, seed: int = 0, training: bool = True) -> tuple[Tensor, Tensor]:
    return task.batch(windows(), torch.zeros(BATCH, dtype=torch.long), seeded(seed), training)


def answers(task: PretextTask, dtype: torch.dtype = torch.float32) -> Tensor:
    """What a new head says to random features."""
    torch.manual_seed(0)
    head = task.head(FEATURES).to(dtype)
    output: Tensor = head(torch.randn(BATCH, FEATURES, dtype=dtype))
    return output.detach()


def test_there_are_tasks() -> None:
    assert {"reverse", "permutation", "time_warp", "multi"} <= TASKS.keys()


def test_it_is_found_by_its_name(named: tuple[str, PretextTask]) -> None:
    name, task = named
    assert task.name == name
    assert base.get(name) is type(task)


def test_a_name_that_nothing_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=f"^pretext: there is no 'jigsaw'; choose one of none, {', '.join(TASKS)}$"):
        base.get("jigsaw")


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_keeps_shape_and_type_and_leaves_the_windows_alone(task: PretextTask, training: bool) -> None:
    x = windows()
    inputs, target = task.batch(x, torch.zeros(BATCH, dtype=torch.long), seeded(), training)
    assert inputs.shape == x.shape
    assert inputs.dtype == x.dtype
    assert inputs.isfinite().all()
    assert target.ndim == 2
    assert len(target) == BATCH
    assert target.dtype == torch.int64
    assert torch.equal(x, windows())


def test_every_question_is_answered_yes_about_as_often_as_no(task: PretextTask) -> None:
    targets = torch.cat([batch(task, seed)[1] for seed in range(20)])
    assert set(targets.unique().tolist()) == {0, 1}
    assert targets.double().mean(dim=0).tolist() == pytest.approx([0.5] * targets.shape[1], abs=0.05)


def test_questions_are_asked_whatever_the_others_answers_are(task: PretextTask) -> None:
    targets = torch.cat([batch(task, seed)[1] for seed in range(20)])
    assert len(targets.unique(dim=0)) == 2 ** targets.shape[1]


def test_windows_that_nothing_was_done_to_are_the_same_bit_by_bit_and_the_others_are_not(task: PretextTask) -> None:
    inputs, target = batch(task)
    untouched = (target == 0).all(dim=1)
    assert 0 < untouched.sum() < BATCH
    assert torch.equal((inputs == windows()).all(dim=(1, 2)), untouched)


def test_the_generator_alone_decides(task: PretextTask) -> None:
    torch.manual_seed(1)
    inputs, target = batch(task, seed=3)
    torch.manual_seed(2)
    again, same_target = batch(task, seed=3)
    assert torch.equal(again, inputs)
    assert torch.equal(same_target, target)
    assert not torch.equal(batch(task, seed=4)[0], inputs)


@pytest.mark.parametrize("name", ["permutation", "time_warp", "multi"])
def test_a_window_is_transformed_differently_each_time(name: str) -> None:
    (one, first), (other, second) = batch(TASKS[name](), seed=0), batch(TASKS[name](), seed=1)
    twice = (first.all(dim=1) & second.all(dim=1)).nonzero().flatten()
    assert len(twice) > 0
    assert not any(torch.equal(one[i], other[i]) for i in twice)


@pytest.mark.parametrize(
    ("name", "questions"),
    [
        ("reverse", ["reverse"]),
        ("permutation", ["permutation"]),
        ("time_warp", ["time_warp"]),
        ("multi", ["reverse", "permutation", "time_warp"]),
    ],
)
def test_each_task_asks_its_own_questions(name: str, questions: list[str]) -> None:
    task = TASKS[name]()
    assert [question for question, _ in task.head(FEATURES).named_children()] == questions
    assert batch(task)[1].shape == (BATCH, len(questions))


def test_labels_are_not_looked_at(task: PretextTask) -> None:
    inputs, target = batch(task)
    again, same_target = task.batch(windows(), torch.arange(BATCH), seeded(), training=True)
    assert torch.equal(again, inputs)
    assert torch.equal(same_target, target)


def test_no_window_of_a_batch_depends_on_the_values_of_another(task: PretextTask) -> None:
    inputs, target = batch(task)
    others = 100 * windows(seed=1)
    others[::2] = windows()[::2]
    again, same_target = task.batch(others, torch.zeros(BATCH, dtype=torch.long), seeded(), training=True)
    assert torch.equal(again[::2], inputs[::2])
    assert torch.equal(same_target, target)


def test_the_head_learns_from_the_loss_and_passes_the_gradient_on(task: PretextTask) -> None:
    torch.manual_seed(0)
    head, features = task.head(FEATURES), torch.randn(BATCH, FEATURES, requires_grad=True)
    output = head(features)
    loss, weight = task.loss(output, batch(task)[1])
    (loss / weight).backward()
    assert output.isfinite().all()
    assert loss.isfinite()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert features.grad is not None
    assert features.grad.any(dim=1).all()


def test_the_loss_of_a_batch_is_the_sum_over_its_windows(task: PretextTask) -> None:
    output, target = answers(task, torch.float64), batch(task)[1]
    loss, weight = task.loss(output, target)
    single = [task.loss(output[i : i + 1], target[i : i + 1]) for i in range(BATCH)]
    assert loss.item() == pytest.approx(sum(part.item() for part, _ in single), rel=1e-9)
    assert weight.item() == pytest.approx(sum(part.item() for _, part in single), rel=1e-9)
    mean = sum((part / of).item() for part, of in single) / BATCH
    assert (loss / weight).item() == pytest.approx(mean, rel=1e-9)


def test_descending_the_loss_makes_the_prediction_right(task: PretextTask) -> None:
    output, target = answers(task).requires_grad_(), batch(task)[1]
    loss, _ = task.loss(output, target)
    (slope,) = torch.autograd.grad(loss, output)
    assert not torch.equal(task.predict(output), target)
    assert torch.equal(task.predict(output - 1000 * slope), target)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if issubclass(task, TransformTask)])
def test_each_question_is_answered_by_its_own_head(name: str) -> None:
    task = TASKS[name]()
    torch.manual_seed(0)
    head, features = task.head(FEATURES), torch.randn(BATCH, FEATURES)
    assert isinstance(head, LinearHeads)
    for i, own in enumerate(head.values()):
        before = task.predict(head(features))
        with torch.no_grad():
            own.weight.neg_()
            own.bias.neg_()
        turned = task.predict(head(features)) != before
        assert turned.all(dim=0).nonzero().flatten().tolist() == [i]
        assert turned.any(dim=0).nonzero().flatten().tolist() == [i]


def test_predictions_have_the_shape_of_the_target(task: PretextTask) -> None:
    target = batch(task)[1]
    predicted = task.predict(answers(task))
    assert predicted.shape == target.shape
    assert predicted.dtype == target.dtype


def test_perfect_predictions_score_1_and_wrong_ones_score_less(task: PretextTask) -> None:
    truth = batch(task)[1].numpy()
    perfect = task.scores(truth, truth)
    assert task.headline in perfect
    assert set(perfect.values()) == {1}
    wrong = task.scores(truth, 1 - truth)
    assert wrong.keys() == perfect.keys()
    assert max(wrong.values()) < 0.5


def test_scores_are_numbers_that_a_tracker_takes(task: PretextTask) -> None:
    scores = task.scores(batch(task)[1].numpy(), task.predict(answers(task)).numpy())
    assert {type(score) for score in scores.values()} == {float}
