"""Check of a store: its databases, files of models, and whether trials and runs belong together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.entities import LoggedModel, LoggedModelStatus
from optuna.trial import TrialState

from sslwear.encoders import checksums
from sslwear.encoders.card import CARD, CHECKPOINT, Card
from sslwear.errors import SslwearError, StudyError
from sslwear.studies.database.optuna_storage import all_studies, open_storage
from sslwear.tracking import Store, all_pages, databases
from sslwear.tracking.checkpoints import model_folder
from sslwear.tracking.offline_folder import set_aside
from sslwear.tracking.offline_records import FOLDER, waiting_records
from sslwear.utils.masking import masked
from sslwear.utils.words import count


@dataclass(frozen=True)
class Finding:
    """Result of one part of the check.

    Attributes:
        what: what was looked at.
        text: what was found, and what to do about a problem.
        problem: whether it is a problem.
    """

    what: str
    text: str
    problem: bool = False


def check_store(store: Store) -> Iterator[Finding]:
    """Check a store, as a command that uses it opens it; nothing else is changed.

    Yields:
        Findings. If a database cannot be used, it is the last one.
    """
    usable = True
    for what, address in (("runs", store.tracking_uri), ("trials", store.storage_url)):
        found = _database(what, address, store.read_only)
        usable &= not found.problem
        yield found
    if not usable:
        return
    try:
        client, _ = store.client, open_storage(store)
    except StudyError as error:
        yield from _kept(store)
        yield Finding("opening", str(error), True)
        return
    yield from _kept(store)  # opening the store uploads what can be uploaded
    experiments = all_pages(lambda token: client.search_experiments(page_token=token))
    ours = {experiment.name: experiment.experiment_id for experiment in experiments}
    yield from _studies(store, ours)
    yield from _checkpoints(store, list(ours.values()))
    yield from _models(store)


def _kept(store: Store) -> Iterator[Finding]:
    """Whether something that runs logged while a server was away has not been uploaded."""
    for server, runs in waiting_records(store.home).items():
        what = f"{count(runs.total(), 'record')} of {count(len(runs), 'run')} in {store.home / FOLDER}"
        advice = "The next command on the machine that kept them uploads them, when their process has ended"
        yield Finding(f"kept for {server}", f"{what}. {advice}")
    for place in set_aside(store.home / FOLDER):
        yield Finding("kept", f"{place} is damaged or was refused. Look at it, then delete it", True)


def _database(what: str, address: str, read_only: bool) -> Finding:
    """State of an SQLite file; other databases and servers are opened later."""
    path = databases.path_of(address)
    if path is None or not path.exists():
        return Finding(what, f"{masked(address)}{'' if path is None else ', not made yet'}")
    try:
        databases.check(path, read_only)
        with databases.connect(path, read_only) as connection:
            told = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except StudyError as error:
        return Finding(what, str(error), True)
    except sqlite3.Error as error:
        return Finding(what, f"the database {path} {databases.failure(error) or f'cannot be used ({error})'}", True)
    if told != ["ok"]:
        said = "; ".join(map(str, told))[:200]
        return Finding(what, f"the database {path} is damaged ({said}). {databases.RESTORE}", True)
    return Finding(what, f"{path}, intact, {path.stat().st_size / 1e6:.1f} MB")


def _studies(store: Store, experiments: dict[str, str]) -> Iterator[Finding]:
    """Whether the trials of each study have their runs."""
    studies = all_studies(store)
    for study in studies:
        name = study.study_name
        if name not in experiments:
            yield Finding(
                f"study {name}", "its MLflow experiment is missing. Restore a backup, or delete the study", True
            )
            continue
        known = {run.info.run_id for run in store.search_runs([experiments[name]])}
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        lost = [trial.number for trial in finished if trial.user_attrs.get("run_id") not in known]
        if lost:
            numbers = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
            text = f"{count(len(lost), 'finished trial')} without a run: {numbers}. Restore the runs in the UI"
            yield Finding(f"study {name}", text, True)
    yield Finding("studies", f"{len(studies)} looked at")


def _checkpoints(store: Store, experiments: list[str]) -> Iterator[Finding]:
    """Whether the files of checkpoints on this machine exist."""
    total = 0
    for experiment in experiments:
        for model in _logged(store, experiment):
            place = _folder(model.artifact_location)
            if model.status != LoggedModelStatus.READY or place is None:
                continue
            total += 1
            if not place.is_dir():
                yield Finding(f"checkpoint {model.model_id}", f"its folder {place} is missing. Restore a backup", True)
    yield Finding("checkpoints", f"{total} looked at")


def _logged(store: Store, experiment: str) -> list[LoggedModel]:
    """Checkpoints and models of an experiment."""
    return all_pages(lambda token: store.client.search_logged_models([experiment], page_token=token))


def _folder(location: str) -> Path | None:
    """Folder of a location on this machine; None for others."""
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None


def _models(store: Store) -> Iterator[Finding]:
    """Whether registered versions can be loaded."""
    versions = all_pages(lambda token: store.client.search_model_versions(page_token=token))
    for version in versions:
        name = f"{version.name}/{version.version}"
        try:
            with model_folder(store, f"models:/{name}", (CHECKPOINT, CARD)) as folder:
                checksums.verify(folder)
                Card.read(folder / CARD)
        except SslwearError as error:
            yield Finding(f"model {name}", str(error), True)
    yield Finding("models", f"{count(len(versions), 'version')} looked at")
