"""Failed trials of a study: which stop it, and which count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from sslwear.errors import StudyError
from sslwear.studies.database import failures
from sslwear.studies.database.failures import (
    INTERRUPTED,
    check_failures,
    counted,
    failed_note,
    interrupt,
    interrupted_trials,
    interrupts,
    tell,
)

RATE = {"rate": FloatDistribution(0.0, 1.0)}
LOUD = "ValueError: 3 channels are too few"


def study(errors: Sequence[str | None]) -> optuna.Study:
    """A study in memory with a trial for each error; None for a trial that finished."""
    made = optuna.create_study(study_name="tiny", direction="maximize")
    for i, error in enumerate(errors):
        made.add_trial(
            optuna.trial.create_trial(
                state=TrialState.COMPLETE if error is None else TrialState.FAIL,
                value=0.5 if error is None else None,
                params={"rate": i / 100},
                distributions=RATE,
                user_attrs={"settings": {}, **({"error": error} if error is not None else {})},
            )
        )
    return made


def repeat(made: optuna.Study, error: str) -> None:
    """Let all waiting trials fail."""
    while made.get_trials(states=(TrialState.WAITING,)):
        trial = made.ask(RATE)
        trial.set_user_attr("settings", {})
        trial.set_user_attr("error", error)
        made.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize(
    "errors",
    [
        [LOUD, LOUD],
        [LOUD, LOUD, None],
        [LOUD, None, LOUD, LOUD],
        [LOUD, "KeyError: 'x'", LOUD],
        [None, *["DivergenceError: the loss is not finite after epoch 1"] * 5],
        [],
    ],
)
def test_a_study_goes_on(errors: list[str | None]) -> None:
    made = study(errors)
    check_failures(made, 10)
    assert len(counted(made)) == len(errors)


@pytest.mark.parametrize(
    ("errors", "total", "stopped"),
    [
        ([None, LOUD, LOUD, LOUD], 10, 3),
        ([LOUD, "ValueError: 4 channels are too few", LOUD], 10, 3),
        (["DivergenceError: the loss is not finite after epoch 1"] * 3, 10, 3),
        ([LOUD], 1, 1),
        ([LOUD, LOUD], 2, 2),
    ],
)
def test_failures_alike_stop_it_and_run_again(errors: list[str | None], total: int, stopped: int) -> None:
    made = study(errors)
    with pytest.raises(StudyError, match=r"^tiny: the .*failed.*run the same command again, which repeats them"):
        check_failures(made, total)
    assert len(counted(made)) == len(errors) - stopped
    waiting = [trial.system_attrs["fixed_params"]["rate"] for trial in made.get_trials(states=(TrialState.WAITING,))]
    assert waiting == [i / 100 for i in range(len(errors) - stopped, len(errors))]


def test_ten_failures_in_a_row_stop_it_with_a_diagnosis() -> None:
    diverged = "DivergenceError: the loss is not finite after epoch 1"
    errors = [None, *[diverged, LOUD, diverged] * 3]
    check_failures(study(errors), 20)
    made = study([*errors, "KeyError: 'x'"])
    with pytest.raises(StudyError) as caught:
        check_failures(made, 20)
    assert f"the last 10 trials failed (6 times {diverged}; 3 times {LOUD}; KeyError: 'x'). " in str(caught.value)
    assert len(counted(made)) == 1
    assert len(made.get_trials(states=(TrialState.WAITING,))) == 10


def test_a_study_that_stopped_twice_for_the_same_trials_goes_on_without_them() -> None:
    made = study([LOUD] * 3)
    for _ in range(2):
        with pytest.raises(StudyError):
            check_failures(made, 10)
        repeat(made, LOUD)
    check_failures(made, 10)
    assert len(counted(made)) == 3
    assert failed_note(made) == "3 of 3 trials failed. sslwear study show tiny says why"


def test_a_trial_that_runs_out_of_memory_a_third_time_failed() -> None:
    made = study([])
    made.enqueue_trial({"rate": 0.5})
    for expected in (True, True, False):
        trial = made.ask(RATE)
        assert interrupts(made, trial, MemoryError()) is expected
        made.set_user_attr(f"{INTERRUPTED}:{trial.number}:x", True)
        made.tell(trial, state=TrialState.FAIL)
        made.enqueue_trial(trial.params)


def test_nothing_is_said_about_a_study_without_failures() -> None:
    assert failed_note(study([None])) is None


def test_a_trial_runs_again_although_a_process_was_killed_before_it_was_enqueued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = optuna.create_study(study_name="tiny", direction="maximize")
    for _ in range(2):
        made.ask(RATE).set_user_attr("settings", {})
    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "enqueue_trial", killed)
        with pytest.raises(KeyboardInterrupt):
            interrupt(made, made.trials)
    assert [trial.state for trial in made.trials] == [TrialState.FAIL] * 2
    interrupt(made, [])  # by the next worker
    interrupt(made, [])
    waiting = [trial.system_attrs["fixed_params"] for trial in made.get_trials(states=(TrialState.WAITING,))]
    assert waiting == [trial.params for trial in made.trials[:2]]
    assert counted(made) == []


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_interrupted_trials_of_a_store_of_version_01_do_not_count() -> None:
    made = study([None, LOUD, None])
    made.set_user_attr("interrupted", [1])
    assert [trial.number for trial in counted(made)] == [0, 2]
    trial = made.ask(RATE)
    interrupt(made, [made.trials[trial.number]])
    assert interrupted_trials(made) == {1, trial.number}


def test_a_trial_that_two_processes_interrupt_runs_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = study([])
    trial = made.ask(RATE)
    trial.set_user_attr("settings", {})
    seen_by_both = made.trials[trial.number]
    meanwhile(monkeypatch, lambda: interrupt(made, [seen_by_both]))
    interrupt(made, [seen_by_both])  # the process stands still after it has marked the trial
    assert not counted(made)
    assert interrupted_trials(made) == {trial.number}
    assert [one.state for one in made.trials] == [TrialState.FAIL, TrialState.WAITING]


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_a_trial_that_ends_while_a_process_interrupts_it_counts(
    monkeypatch: pytest.MonkeyPatch, state: TrialState
) -> None:
    made = study([])
    trial = made.ask(RATE)
    value = 0.5 if state == TrialState.COMPLETE else None
    meanwhile(monkeypatch, lambda: tell(made, trial, state, value))
    interrupt(made, [made.trials[trial.number]])
    assert [one.number for one in counted(made)] == [trial.number]
    assert not interrupted_trials(made)
    assert len(made.trials) == 1


def meanwhile(monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> None:
    """Let another process do something after a trial was marked and before it is told."""
    patched = iter((other,))

    def late(*arguments: Any, **named: Any) -> bool:
        for one in patched:
            one()
        return tell(*arguments, **named)

    monkeypatch.setattr(failures, "tell", late)
