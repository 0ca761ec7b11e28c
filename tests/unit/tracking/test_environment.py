"""Messages of libraries while a store is used."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import NullPool, QueuePool, create_engine

from sslwear.tracking import Store


@pytest.mark.parametrize("pool", [NullPool, QueuePool])
def test_a_query_that_ctrl_c_ends_prints_no_traceback(
    store: Store, caplog: pytest.LogCaptureFixture, pool: type[NullPool | QueuePool]
) -> None:
    assert store.client.search_experiments()
    engine = create_engine("sqlite://", poolclass=pool)
    engine.pool.logger.error("Error closing cursor", exc_info=True)  # what SQLAlchemy writes then
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
