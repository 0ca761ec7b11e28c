"""Rights as rows of a database: one owner at a time, taken over from those that are gone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from sslwear.errors import StudyError
from sslwear.studies.workers import heartbeats
from sslwear.studies.workers.claims import CLAIMS, Claims
from sslwear.studies.workers.heartbeats import INTERVAL_VARIABLE, heartbeat_of
from sslwear.tracking import Store
from sslwear.tracking.retry import patient


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")


def claims(engine: sa.Engine, owner: str, dead: set[str] | None = None, grace: float = 60) -> Claims:
    return Claims(engine, owner, lambda process, silent: process in (dead or ()) or silent > grace)


def age(engine: sa.Engine, name: str, seconds: float) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(CLAIMS).where(CLAIMS.c.name == name).values(beat=CLAIMS.c.beat - seconds))


def test_a_right_has_one_owner_until_it_is_given_back(engine: sa.Engine) -> None:
    one, other = claims(engine, "one"), claims(engine, "other")
    assert one.take("x")
    assert one.take("x")
    assert not other.take("x")
    assert other.take("y")
    assert one.has("x")
    assert not other.has("x")
    assert one.others("") == {"y": "other"}
    assert one.release("x")
    assert other.take("x")
    assert not one.release("x")
    assert other.has("x")


def test_names_that_differ_in_capital_letters_are_different_rights(engine: sa.Engine) -> None:
    one, other = claims(engine, "one"), claims(engine, "other")
    assert one.take("study:Run:1")
    assert other.others("study:Run:") == {"study:Run:1": "one"}
    assert other.others("study:run:") == {}


def test_a_right_of_a_process_that_ended_or_is_silent_is_taken_over(engine: sa.Engine) -> None:
    dead: set[str] = set()
    one, other = claims(engine, "one"), claims(engine, "other", dead)
    assert one.take("a")
    assert one.take("b")
    age(engine, "a", 61)
    assert other.others("", gone=True) == {"a": "one"}
    assert other.take("a")
    assert not other.take("b")
    dead.add("one")
    assert other.take("b")
    assert not one.release("b")


def test_a_renewed_right_is_not_taken_over(engine: sa.Engine) -> None:
    one, other = claims(engine, "one"), claims(engine, "other")
    one.take("x")
    age(engine, "x", 61)
    one.renew()
    assert not other.take("x")


def test_a_right_that_could_not_be_given_back_is_not_renewed(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = claims(engine, "one"), claims(engine, "other")
    one.take("x")
    with monkeypatch.context() as patched:
        patched.setattr(one, "_engine", sa.create_engine("sqlite:////no/such/folder/x.db"))
        with pytest.raises(sa.exc.OperationalError):
            one.release("x")
    one.renew()
    age(engine, "x", 61)
    one.renew()
    assert other.take("x")


def test_names_with_wildcards_are_taken_literally(engine: sa.Engine) -> None:
    one, other = claims(engine, "one"), claims(engine, "other")
    one.take("worker:a%b:1")
    one.take("worker:aXb:1")
    assert set(other.others("worker:a%b:")) == {"worker:a%b:1"}


def test_of_many_threads_one_has_a_right(store: Store) -> None:
    heartbeat, inside, most = heartbeat_of(store), [], []

    def work() -> None:
        for _ in range(5):
            with heartbeat.holding("x") as mine:
                assert mine
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20
    with heartbeat.holding("x"), heartbeat.trying("x") as mine:
        assert not mine


def test_who_could_not_reach_the_database_does_not_judge_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat = heartbeat_of(store)
    assert heartbeat._is_gone("elsewhere-1", 1e6)  # a command that has just begun
    heartbeat._beat()
    assert heartbeat._is_gone("elsewhere-1", 1e6)
    now = heartbeats.time.monotonic()
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now + 1000)
    assert not heartbeat._is_gone("elsewhere-1", 1e6)  # it has been silent itself, and does not know why
    heartbeat._beat()  # the first one after a long silence of its own
    assert not heartbeat._is_gone("elsewhere-1", 1e6)
    for later in range(1010, 1070, 10):
        monkeypatch.setattr(heartbeats.time, "monotonic", lambda later=later: now + later)
        assert not heartbeat._is_gone("elsewhere-1", 1e6)
        heartbeat._beat()
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now + 1070)
    assert heartbeat._is_gone("elsewhere-1", 1e6)


def test_who_slept_with_all_others_does_not_judge_them(store: Store) -> None:
    heartbeat = heartbeat_of(store)
    heartbeat.claims.take("x")
    heartbeat._beat()
    assert heartbeat._is_gone("elsewhere-1", 1e6)
    age(heartbeat.engine, "x", 1e6)
    heartbeat._beat()
    assert not heartbeat._is_gone("elsewhere-1", 1e6)
    heartbeat.claims.release("x")


def test_a_heartbeat_does_not_wait_for_a_server_that_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTERVAL_VARIABLE, "1")
    heartbeat, beats, several = heartbeat_of(store), [], threading.Event()

    def renew() -> float:
        beats.append(1)
        if len(beats) == 3:
            several.set()
        return 0.0

    @patient
    def away() -> None:
        raise requests.ConnectionError("away")

    monkeypatch.setattr(heartbeat.claims, "renew", renew)
    with heartbeat.running(away):
        assert several.wait(20)


def test_a_right_that_another_thread_keeps_is_not_waited_for_without_end(store: Store) -> None:
    heartbeat, found = heartbeat_of(store), []

    def ask() -> None:
        with heartbeat.holding("x", timeout_s=0.1) as mine:
            found.append(mine)

    with heartbeat.holding("x"):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(20)
    assert found == [False]


@pytest.mark.parametrize("given", ["0", "-1", "a", "1.5"])
def test_an_interval_that_is_no_number_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(INTERVAL_VARIABLE, given)
    with pytest.raises(StudyError, match=f"SSLWEAR_HEARTBEAT_S is '{given}'. Write a whole number of seconds"):
        heartbeat_of(store)
