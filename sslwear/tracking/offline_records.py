"""What runs log while a server cannot be reached: it is kept on disk, and sent in order once the server answers again.

A process sends its own records: at its next write after a pause, at the end of a run, before it reads anything, and
before a command ends. The next command that opens the store sends those of processes that have ended. While something
is kept, everything that is logged later is kept behind it, so the order holds.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, ErrorCode

from sslwear.tracking import offline_folder, open_runs, records
from sslwear.tracking.environment import DEFAULTS
from sslwear.tracking.offline_folder import Kept
from sslwear.tracking.outages import OWN_CODES
from sslwear.tracking.provenance import PREFIX
from sslwear.tracking.records import Record
from sslwear.tracking.retry import FIRST_PAUSE_S, LONGEST_PAUSE_S, impatient, is_lost_connection, patient
from sslwear.utils.masking import one_line
from sslwear.utils.words import count

log = logging.getLogger(__name__)

FOLDER = "kept"
"""Folder of the store with records that wait."""
SHARE = 4
"""Least length of a pause, in lengths of the attempt before it: a server that hangs does not hold up a training."""
REFUSED = (400, 413, 422)
"""Statuses of HTTP with which a server or a proxy before it refuses what is sent, whoever sends it."""
FAILING_S = 24 * 3600.0
"""Time in seconds for which a server may fail to take a record before it is set aside."""
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
HASTE = {RETRIES: "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's variables while something is logged, where the user has set none: what cannot be sent is kept at once."""
_guard = threading.RLock()
_known: dict[tuple[Path, str], KeptRecords] = {}


def server_of(address: str) -> str:
    """Address of a server without user, password and options."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def kept_records(home: Path, address: str) -> KeptRecords:
    """What this process keeps for a server.

    Args:
        home: folder of the store.
        address: address of the server.
    """
    with _guard:
        key = (home, server_of(address))
        return _known.setdefault(key, KeptRecords(*key))


class KeptRecords:
    """Records that this process keeps for a server while it is away.

    Args:
        home: folder of the store.
        server: address of the server, without user and password.

    Attributes:
        folder: folder of the records of all processes.
        server: see above.
    """

    def __init__(self, home: Path, server: str) -> None:
        self.folder, self.server, self._locks = home / FOLDER, server, home / "locks"
        self._own: Path | None = None
        self._waiting = self._sending = False
        self._next = self._pause = 0.0

    @property
    def waiting(self) -> bool:
        """Whether this process keeps something."""
        return self._waiting

    def sentence(self) -> str:
        """Where records lie, and when they are sent."""
        return (
            f"What runs logged is kept in {self.folder}. The next command that opens this store uploads it, such as "
            "sslwear store check"
        )

    def write(self, client: MlflowClient, record: Record, owner: Callable[[], str]) -> None:
        """Send a record, or keep it while the server cannot be reached.

        Args:
            client: MLflow's client.
            record: the record.
            owner: gives the name of this process, see `Store.process`.

        Raises:
            OSError: when it can neither be sent nor be kept.
        """
        with _guard:
            if self._waiting:
                self._keep(record, owner)
                if record.kind == "end" or time.monotonic() >= self._next:
                    self._attempt(client)
                return
            start = time.monotonic()
            try:
                _deliver(client, record)
            except Exception as error:
                if not is_lost_connection(error):
                    raise
                self._keep(record, owner)
                self._later(start)
                log.warning(
                    "the MLflow store %s does not answer. The command goes on, and what runs log is kept in %s",
                    self.server,
                    self.folder,
                )

    def flush(self, client: MlflowClient) -> None:
        """Send what this process keeps; without anything kept it does nothing.

        Raises:
            Exception: when the server cannot be reached, see `is_lost_connection`.
        """
        if not self._waiting:
            return
        with _guard:
            if self._sending or not self._waiting or self._own is None:
                return
            self._sending = True
            try:
                self._send(client, self._own)
            finally:
                self._sending = False
            self._waiting, self._pause = False, 0.0
            offline_folder.clear(self._own)

    @patient
    def settle(self, client: MlflowClient) -> None:
        """Wait for the server and send what this process keeps; see `flush`."""
        self.flush(client)

    def upload(self, client: MlflowClient) -> list[str]:
        """Send what ended processes of this machine kept for the server; the caller holds the store's lock.

        What cannot be sent waits for the next command.

        Returns:
            Names of the processes of which something was sent.
        """
        done = []
        for place in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if open_runs.is_dead(self._locks, place.name) is not True:
                continue
            try:
                with impatient():
                    sent = self._send(client, place)
            except Exception as error:
                if not is_lost_connection(error):
                    raise
                break
            if sent:
                done.append(place.name)
            offline_folder.clear(place)
        return done

    def copy_checkpoint(self, run: str, place: Path) -> Path | None:
        """Copy of the files of a run's newest checkpoint, if this process keeps it.

        Args:
            run: id of the run.
            place: receives a folder with the copy.
        """
        if not self._waiting or self._own is None:
            return None
        with _guard:
            found = [
                kept.record.files
                for kept in offline_folder.records_of(self._own)
                if not isinstance(kept, Path) and (kept.record.run, kept.record.kind) == (run, records.CHECKPOINT)
            ]
            if not found or found[-1] is None:
                return None
            return Path(shutil.copytree(found[-1], place / "kept"))

    def _keep(self, record: Record, owner: Callable[[], str]) -> None:
        self._own = self._own or self.folder / owner()
        offline_folder.keep(self._own, self.server, record)
        self._waiting = True

    def _attempt(self, client: MlflowClient) -> None:
        """Send what is kept, if the server answers."""
        start = time.monotonic()
        try:
            self.flush(client)
        except Exception as error:
            if not is_lost_connection(error):
                raise
            self._later(start)

    def _later(self, start: float) -> None:
        """Pause after an attempt that failed."""
        now = time.monotonic()
        self._pause = min(2 * self._pause or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._next = now + max(self._pause, SHARE * (now - start))

    def _send(self, client: MlflowClient, place: Path) -> int:
        """Send the records of a process for this server; returns their number."""
        sent: Counter[str] = Counter()
        try:
            for kept in offline_folder.records_of(place):
                if isinstance(kept, Path):
                    aside = kept.rename(kept.with_name(f"{offline_folder.ASIDE}{kept.name}"))
                    log.warning("a kept record of a run is damaged, so it is not uploaded: %s", aside)
                elif kept.server == self.server:
                    try:
                        overtaken = records.is_overtaken(client, kept.record, place.name)
                        if not overtaken:
                            _deliver(client, kept.record, again=True)
                    except (MlflowException, requests.HTTPError) as error:
                        if not (_is_refusal(error) or _fails_for_long(client, kept)):
                            raise
                        reason, aside, run = one_line(error, 100), kept.put_aside(), kept.record.run
                        log.warning("a kept record of the run %s was refused (%s): %s", run, reason, aside)
                    else:
                        kept.delete()
                        sent[kept.record.run] += not overtaken
        finally:
            if sent.total():
                parts = count(sent.total(), "kept record"), count(len(sent), "run")
                log.warning("uploaded %s of %s to %s", *parts, self.server)
        return sent.total()


def _is_refusal(error: MlflowException | requests.HTTPError) -> bool:
    """Whether a server will never take a record, and not only now or from this user."""
    if isinstance(error, MlflowException):
        return error.error_code in (*OWN_CODES, ErrorCode.Name(BAD_REQUEST))
    return error.response is not None and error.response.status_code in REFUSED


def _fails_for_long(client: MlflowClient, kept: Kept) -> bool:
    """Whether a server has failed to take a record for `FAILING_S`, and otherwise answers.

    One such record would hold back all that were kept after it.
    """
    try:
        with impatient():
            client.get_run(kept.record.run)
    except (MlflowException, requests.RequestException):
        return False
    return kept.failing_s() > FAILING_S


def kept_elsewhere(run: MlflowRun) -> str:
    """What may be missing of a run that has ended, and is not said to have: a sentence.

    Args:
        run: a run on a server.
    """
    host = run.data.tags.get(f"{PREFIX}host", "another machine")
    return f"What it logged may still be kept on {host}, where the next command that opens the store uploads it"


def waiting_records(home: Path) -> dict[str, Counter[str]]:
    """Numbers of records that wait in a store, by server and run.

    Args:
        home: folder of the store.
    """
    found: dict[str, Counter[str]] = {}
    folder = home / FOLDER
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        for kept in offline_folder.records_of(place):
            if not isinstance(kept, Path):
                found.setdefault(kept.server, Counter())[kept.record.run] += 1
    return found


def _deliver(client: MlflowClient, record: Record, again: bool = False) -> None:
    """Send a record without waiting for a server that does not answer."""
    with impatient(), _hasty(record):
        records.send(client, record, again)


@contextmanager
def _hasty(record: Record) -> Iterator[None]:
    """MLflow's settings while a record is sent; files may take longer, because a server may pass them on."""
    before = {name: os.environ.get(name) for name in HASTE if record.files is None or name == RETRIES}
    os.environ.update({name: HASTE[name] for name, value in before.items() if value == DEFAULTS.get(name)})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
