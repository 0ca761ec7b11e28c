"""Heartbeats of this process in Optuna's database, by which other machines know that it works on something.

Optuna records heartbeats in its own loop only, not where trials are asked for one by one, so a thread does it here: for
the trials that this process runs, and for its claims. Times are those of the database.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage

from sslwear.errors import StudyError
from sslwear.studies.database.optuna_storage import open_storage
from sslwear.studies.workers.claims import Claims
from sslwear.tracking import Store, outages
from sslwear.tracking.retry import PatientStorage, impatient, while_ending

INTERVAL_VARIABLE = "SSLWEAR_HEARTBEAT_S"
INTERVAL_S = 10
"""Seconds between two heartbeats. A process that is lost with its machine is noticed within a minute."""
GRACE = 6
"""Number of intervals without a heartbeat after which a process counts as lost."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.5
"""Seconds between two attempts to take a right that another process has."""

log = logging.getLogger(__name__)
_known: dict[tuple[str, str], Heartbeat] = {}
_guard = threading.Lock()


def heartbeat_of(store: Store) -> Heartbeat:
    """The heartbeat of this process in a store; there is one for each store.

    Raises:
        StudyError: when the storage cannot be opened, or `SSLWEAR_HEARTBEAT_S` is no whole number of seconds.
    """
    with _guard:
        key = str(store.home), store.storage_url
        if key not in _known or _known[key].owner != store.process():
            _known[key] = Heartbeat(store)
        return _known[key]


def _interval() -> int:
    given = os.environ.get(INTERVAL_VARIABLE, "")
    if not given:
        return INTERVAL_S
    if not given.isdigit() or int(given) < 1:
        raise StudyError(f"{INTERVAL_VARIABLE} is {given!r}. Write a whole number of seconds, at least 1")
    return int(given)


class Heartbeat:
    """Heartbeat of this process in a store.

    Attributes:
        owner: name of this process in the store.
        engine: of Optuna's database.
        claims: its rights.
        trials: ids of the trials that it runs, in Optuna's storage.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._interval = store, _interval()
        self._storage = _storage(open_storage(store), self._interval)
        self.owner = store.process()
        self.engine = self._storage.engine
        self.claims = Claims(self.engine, self.owner, self._is_gone)
        self.trials: set[int] = set()
        self._watchers: list[Callable[[], None]] = []
        self._users, self._stop = 0, threading.Event()
        self._lock = threading.Lock()
        self._rights: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # between threads of this process
        self._last: float | None = None
        self._lost = -float("inf")

    @contextmanager
    def running(self, watch: Callable[[], None] | None = None) -> Iterator[None]:
        """Record heartbeats during the block.

        Args:
            watch: called after each heartbeat, in the thread of the heartbeats.
        """
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._stop, self._last = threading.Event(), None
                threading.Thread(target=self._run, args=(self._stop,), daemon=True, name="heartbeat").start()
            if watch is not None:
                self._watchers.append(watch)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._stop.set()
                if watch is not None:
                    self._watchers.remove(watch)

    @contextmanager
    def trying(self, name: str) -> Iterator[bool]:
        """Have a right during the block, if nobody else has it; gives whether this process has it."""
        with self.running():
            right = self._rights[name]
            if not right.acquire(blocking=False):  # another thread has it
                yield False
                return
            try:
                mine = self.claims.take(name)
                with self._let_go(name, mine):
                    yield mine
            finally:
                right.release()

    @contextmanager
    def holding(self, name: str, timeout_s: float = float("inf")) -> Iterator[bool]:
        """Have a right during the block; waits until nobody else has it.

        Args:
            name: name of the right.
            timeout_s: seconds after which the block runs without the right.

        Returns:
            Whether this process has the right.
        """
        deadline, pause, mine = time.monotonic() + timeout_s, FIRST_PAUSE_S, False
        with self.running():
            right = self._rights[name]
            if not right.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX)):  # another thread still has it
                yield False
                return
            try:
                while not (mine := self.claims.take(name)) and time.monotonic() < deadline:
                    time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that processes do not ask in step
                    pause = min(1.5 * pause, LONGEST_PAUSE_S)
                with self._let_go(name, mine):
                    yield mine
            finally:
                right.release()

    @contextmanager
    def _let_go(self, name: str, mine: bool) -> Iterator[None]:
        """Block after which a right is given back, at once or not at all when the block raises."""
        try:
            yield
        except BaseException:
            if mine:
                with while_ending():  # otherwise the others notice that this process is silent
                    self.claims.release(name)
            raise
        if mine:
            self.claims.release(name)

    def add(self, trial_id: int) -> None:
        """Record heartbeats of a trial from now on."""
        self._storage.record_heartbeat(trial_id)
        self.trials.add(trial_id)

    def silent_trials(self, study: optuna.Study) -> set[int]:
        """Ids of a study's running trials whose process has recorded no heartbeat for too long."""
        if not self._may_judge():
            return set()
        return set(self._storage._get_stale_trial_ids(study._study_id))

    def is_gone(self, process: str) -> bool | None:
        """Whether a process has ended; None if this machine cannot know."""
        return False if process == self.owner else self._store.is_dead(process)

    def _is_gone(self, process: str, silent_s: float) -> bool:
        dead = self._store.is_dead(process)
        return dead is True or (silent_s > GRACE * self._interval and self._may_judge())

    def _may_judge(self) -> bool:
        """Whether silence of others is theirs: the database may be away for all, or have been until a moment ago.

        A process that has just begun cannot have been cut off, and takes over at once what others left.
        """
        now = time.monotonic()
        heard = self._last is None or now - self._last <= 2 * self._interval
        return heard and now - self._lost > GRACE * self._interval

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with impatient():  # what others log or do must not keep the heartbeats waiting
                    self._beat()
            except Exception as error:  # any other would end the heartbeats
                if not outages.is_outage(error):
                    log.exception("a heartbeat failed")
            if stop.wait(self._interval):
                return

    def _beat(self) -> None:
        since = time.monotonic() - self._last if self._last is not None else 0.0
        # The clock of the database goes on while a machine sleeps with all its processes, and may be set.
        late = max(since, self.claims.renew()) > 2 * self._interval
        for trial_id in tuple(self.trials):
            RDBStorage.record_heartbeat(self._storage, trial_id)  # without waiting; the next one comes soon
        if late:
            self._lost = time.monotonic()
        self._last = time.monotonic()
        for watch in tuple(self._watchers):
            watch()


def _storage(opened: RDBStorage, interval: int) -> RDBStorage:
    """A storage like one that is open, which knows which heartbeats are too old.

    It is not the one that asks for trials, which Optuna would warn about.
    """
    kind = PatientStorage if isinstance(opened, PatientStorage) else RDBStorage
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return kind(
            opened.url,
            engine_kwargs=opened.engine_kwargs,
            skip_compatibility_check=True,
            skip_table_creation=True,
            heartbeat_interval=interval,
            grace_period=GRACE * interval,
        )
