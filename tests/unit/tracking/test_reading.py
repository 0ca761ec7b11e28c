"""Reading of logged runs."""

from __future__ import annotations

from sslwear.tracking import Store
from sslwear.tracking.reading import current_names, metric_history


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
