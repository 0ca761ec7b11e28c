"""Jobs of an evaluation that several workers do: what one of them does first."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sslwear.config import Settings
from sslwear.studies.evaluations.cross_validation import evaluate_study
from sslwear.studies.evaluations.plan import CrossValidationPlan
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial.pretraining import pretraining_rights
from sslwear.studies.workers.claims import Claims
from sslwear.studies.workers.heartbeats import heartbeat_of
from sslwear.tracking import Store

METHODS = {"pre-trained": {"pretext": "reverse"}, "plain": {}}
PATIENCE_S = 30


class Ended(ProgressCallback):
    """Names of jobs in the order in which they ended; the first one calls a function."""

    def __init__(self, first: Callable[[], object]) -> None:
        self.names: list[str] = []
        self._first = first

    def ended(self, name: str, outcome: str, value: float | None) -> None:
        """Note a job."""
        if not self.names:
            self._first()
        self.names.append(name.split(",")[0])


@pytest.mark.parametrize("joint", [True, False])
def test_a_job_that_needs_the_pre_training_of_another_worker_comes_last(
    make: Callable[..., Settings], store: Store, joint: bool
) -> None:
    training = {"tuning": "head", "max_epochs": 1, "batch_size": 32}
    evaluation = {"methods": METHODS, "baselines": "none", "protocol": "hold_out"}
    pretraining = {"max_epochs": 1, "patience": 1}
    settings = make(evaluation=evaluation, training=training, pretraining=pretraining, search={})
    plan = CrossValidationPlan.build(settings, store)
    job = next(job for job in plan.jobs if job.method.name == "pre-trained")
    (right,) = pretraining_rights(plan.of(job), job.method.training)
    other = Claims(heartbeat_of(store).engine, "another-worker", lambda process, silent: False)
    assert other.take(right)
    release = threading.Timer(PATIENCE_S, other.release, (right,))  # so that the test fails and does not hang
    release.start()
    ended = Ended(lambda: other.release(right))
    table = evaluate_study(settings, store, ended, joint=joint)
    release.cancel()
    assert ended.names == ["plain", "pre-trained"]
    assert set(table["method"]) == set(METHODS)


class Counted(ProgressCallback):
    """Numbers of finished jobs; a function is called when the first job starts."""

    def __init__(self, first: Callable[[], object]) -> None:
        self.counts: list[int] = []
        self._first = [first]

    def trial(self, name: str) -> None:
        """Call the function once."""
        if self._first:
            self._first.pop()()

    def done(self, done: int) -> None:
        """Note a number."""
        self.counts.append(done)


def test_jobs_that_another_worker_finished_are_counted(make: Callable[..., Settings], store: Store) -> None:
    def settings(**methods: object) -> Settings:
        training = {"tuning": "head", "max_epochs": 1, "batch_size": 32}
        evaluation = {"methods": methods, "baselines": "none", "protocol": "hold_out"}
        return make(evaluation=evaluation, training=training, search={})

    counted = Counted(lambda: evaluate_study(settings(second={"learning_rate": 1e-2}), store, joint=True))
    evaluate_study(settings(first={}, second={"learning_rate": 1e-2}), store, counted, joint=True)
    assert counted.counts == [1]
