"""Optuna's dashboard behind the checks of who asks."""

from __future__ import annotations

import io
from typing import Any

import optuna
import pytest

from sslwear.deployment.serving.access import checked_wsgi


@pytest.mark.parametrize(
    ("headers", "status", "left"),
    [
        ({"HTTP_HOST": "evil.example:8080"}, "403", ["kept"]),
        ({"HTTP_HOST": "127.0.0.1:8080", "HTTP_ORIGIN": "http://evil.example"}, "403", ["kept"]),
        ({"HTTP_HOST": "127.0.0.1:8080", "HTTP_ORIGIN": "http://127.0.0.1:8080"}, "204", []),
    ],
)
def test_only_its_own_pages_delete_a_study(headers: dict[str, str], status: str, left: list[str]) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="the extra dashboard is not installed")
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="kept")
    statuses: list[str] = []
    environ: dict[str, Any] = {"REQUEST_METHOD": "DELETE", "PATH_INFO": f"/api/studies/{study._study_id}"}
    environ |= {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8080", "wsgi.url_scheme": "http"}
    environ |= {"wsgi.input": io.BytesIO(b"{}"), "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2", **headers}
    list(checked_wsgi(dashboard.wsgi(storage), "127.0.0.1")(environ, lambda found, *_: statuses.append(found)))
    assert statuses[0].startswith(status)
    assert optuna.get_all_study_names(storage) == left
