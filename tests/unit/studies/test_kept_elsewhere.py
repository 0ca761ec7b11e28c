"""What a trial's run logged may still be kept on another machine; commands that need it say so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sslwear.errors import StudyError, WeightsError
from sslwear.studies.database.trials import NETWORK
from sslwear.studies.reruns.rerun import _check
from sslwear.studies.setup.progress import ProgressCallback
from sslwear.studies.trial import winner
from sslwear.studies.workers.check import _of_trial

SAID = "What it logged may still be kept on node-7, where the next command that opens the store uploads it"


def run(status: str = "RUNNING", **tags: str) -> Any:
    """A run of a trial on the machine node-7."""
    ours = {"sslwear.kind": "trial", "sslwear.host": "node-7", **{f"sslwear.{key}": tags[key] for key in tags}}
    return SimpleNamespace(
        info=SimpleNamespace(run_id="0123", status=status), data=SimpleNamespace(tags=ours, params={}, metrics={})
    )


@pytest.mark.parametrize(("remote", "more"), [(True, f". {SAID}"), (False, "")])
def test_the_check_says_where_records_may_be(remote: bool, more: str) -> None:
    trial = create_trial(state=TrialState.COMPLETE, value=0.5)
    (found,) = _of_trial(trial, "finished", run(), None, remote)
    assert found.text == f"trial {trial.number} is finished, and its run is RUNNING (no outcome){more}"
    assert list(_of_trial(trial, "finished", run("FINISHED", outcome="finished"), None, remote)) == []


def test_a_run_that_is_not_uploaded_is_not_repeated() -> None:
    with pytest.raises(StudyError, match=rf"did not finish \(it is running\)\. {SAID}, or choose another run$"):
        _check(run(), remote=True)
    with pytest.raises(StudyError, match=r"did not finish \(it is running\)\. Choose one that did$"):
        _check(run(), remote=False)


@pytest.mark.parametrize(
    ("remote", "tags", "words"),
    [
        (True, {}, f"trial 0 has no checkpoint yet. {SAID}"),
        (True, {"outcome": "finished"}, "the checkpoint of trial 0 cannot be used"),
        (False, {}, "the checkpoint of trial 0 cannot be used"),
    ],
)
def test_a_network_that_is_not_uploaded_is_not_taken_for_a_lost_one(
    monkeypatch: pytest.MonkeyPatch, remote: bool, tags: dict[str, str], words: str
) -> None:
    def missing(*_: Any) -> None:
        raise WeightsError("no checkpoint")

    monkeypatch.setattr(winner, "load_weights", missing)
    monkeypatch.setattr(winner, "Network", lambda *_: None)
    monkeypatch.setattr(winner, "training_of", lambda _: None)
    study = optuna.create_study()
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs={NETWORK: "0123"}))
    store = SimpleNamespace(remote=remote, find_run=lambda _: run(**tags))
    task = SimpleNamespace(head=lambda _: None)
    encoder = lambda: SimpleNamespace(features=1)  # noqa: E731
    context: Any = SimpleNamespace(store=store, encoder=encoder, classification=lambda _: task)
    with pytest.raises(StudyError) as raised:
        winner.trial_network(context, study, study.trials[0], Any, ProgressCallback())  # type: ignore[arg-type]
    assert str(raised.value).startswith(words)
