"""A store that was moved or copied: artifacts are found, and written, in the new folder."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from sslwear.tracking import Store, databases, reading
from tests.conftest import store_at


def logged(store: Store) -> str:
    """A run with a text file in an experiment, whose name needs encoding."""
    run = store.create_run(store.experiment("my study 5%"), "a run", "train")
    run.text("content", "note.txt")
    run.end("FINISHED", "finished")
    return run.id


@pytest.mark.parametrize("name", ["new", "what?x=1 #2"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_moved_store_reads_and_writes_in_its_new_folder(store: Store, tmp_path: Path, name: str, keep: bool) -> None:
    run_id = logged(store)
    new = tmp_path / name / "mlruns"
    shutil.copytree(store.home, new)
    if keep:
        before = sorted(store.home.rglob("*.txt"))
    else:
        shutil.rmtree(store.home)
    moved = Store(new, databases.url_of(new / "mlflow.db"), databases.url_of(new / "optuna.db"))
    assert reading.text(moved, run_id, "note.txt") == "content"
    other = logged(moved)
    assert len(list(new.rglob("note.txt"))) == 2
    assert reading.text(moved, other, "note.txt") == "content"
    if keep:
        assert sorted(store.home.rglob("*.txt")) == before
        assert reading.text(store_at(store.home), run_id, "note.txt") == "content"
    else:
        assert not store.home.exists()


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "moved"])
def test_a_process_goes_on_in_a_new_store_after_the_folder_is_gone(store: Store, tmp_path: Path, deleted: bool) -> None:
    before = logged(store)
    shutil.move(store.home, tmp_path / "old")
    if deleted:
        shutil.rmtree(tmp_path / "old")
    run_id = logged(again := store_at(store.home))
    for path, wanted in ((store.home, [run_id]), (tmp_path / "old", [before])):
        if path.exists():
            with sqlite3.connect(path / "mlflow.db") as connection:
                assert [run for (run,) in connection.execute("SELECT run_uuid FROM runs")] == wanted
            connection.close()
    assert again.is_dead(again.process()) is False
    assert (store.home / "locks" / f"process-{again.process()}.lock").is_file()


def test_a_store_that_is_reached_by_another_path_stays(store: Store, tmp_path: Path) -> None:
    logged(store)
    link = tmp_path / "link"
    link.symlink_to(store.home)
    _ = Store(link, databases.url_of(link / "mlflow.db"), store.storage_url).client
    with sqlite3.connect(store.home / "mlflow.db") as connection:
        places = [place for (place,) in connection.execute("SELECT artifact_uri FROM runs")]
    connection.close()
    assert all(place.startswith((store.home / "artifacts").as_uri()) for place in places)


def test_experiments_of_other_programs_keep_their_place(store: Store, tmp_path: Path) -> None:
    elsewhere = (tmp_path / "elsewhere").as_uri()
    store.client.create_experiment("other", artifact_location=elsewhere)
    new = tmp_path / "new"
    shutil.move(store.home, new)
    found = store_at(new).client.get_experiment_by_name("other")
    assert found is not None
    assert found.artifact_location == elsewhere
