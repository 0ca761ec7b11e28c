"""Reading of logged runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sslwear.config import parse
from sslwear.tracking import Store
from sslwear.tracking.reading import current_names, metric_history, with_plugins


def test_old_names_of_test_scores_are_translated() -> None:
    old = {"test_kappa": 1, "test_kappa_mean": 2, "test_kappa_low": 3, "val_kappa": 4, "test_f1": 5}
    expected = {"pooled_test_kappa": 1, "test_kappa": 2, "test_kappa_low": 3, "val_kappa": 4, "test_f1": 5}
    assert current_names(old) == expected
    assert current_names(expected) == expected


def test_the_history_ends_with_the_run_and_has_results_only(store: Store) -> None:
    run = store.create_run(store.experiment("tiny"), "some", "train")
    for epoch in (1, 2):
        run.metrics(
            {"val_kappa": 0.1 * epoch, "epoch_seconds": 3, "learning_parameters/head": 5, "system/cpu": 1}, epoch
        )
    run.end("FINISHED", "finished")
    end = store.client.get_run(run.id).info.end_time
    store.client.log_metric(run.id, "val_kappa", 0.9, timestamp=end + 1, step=1)
    store.client.log_metric(run.id, "test_kappa", 0.9, timestamp=end + 1)
    assert metric_history(store, run.id) == {(1, "val_kappa"): [0.1], (2, "val_kappa"): [0.2]}


def test_a_plug_in_that_did_not_change_is_not_replaced_whatever_ends_its_lines(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_bytes(b"one = 1\r\ntwo = 2\r\n")
    settings = parse({"study": "tiny", "data": "smartwatch", "plugins": [str(file)]}, "here")
    run = store.create_run(store.experiment("tiny"), "some", "train")
    run.plugins(settings.plugins)
    assert with_plugins(settings, store, [run.id], tmp_path) == settings
    file.write_bytes(b"one = 2\r\n")
    (copy,) = with_plugins(settings, store, [run.id], tmp_path).plugins
    assert Path(copy).read_bytes() == b"one = 1\r\ntwo = 2\r\n"


READ = r"""
from sslwear.tracking import Store
from sslwear.tracking.reading import text

store = Store.from_environment(write=False)
(run,) = store.find_runs(None, kind="train")
assert store.read_text(run, "name.txt") == text(store, run.info.run_id, "name.txt") == "M\u00fcller"
"""


def test_files_are_read_in_every_locale(store: Store) -> None:
    run = store.create_run(store.experiment("tiny"), "some", "train")
    run.text("Müller", "name.txt")
    plain = {"SSLWEAR_HOME": str(store.home), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", READ], env=plain, check=True)
