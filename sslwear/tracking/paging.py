"""Results of MLflow's client that come in pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlflow.store.entities import PagedList

Item = TypeVar("Item")


def all_pages(search: Callable[[str | None], PagedList[Item]]) -> list[Item]:
    """Results of all pages of a search with MLflow's client.

    Args:
        search: returns the page of a token, or the first page for None.
    """
    page = search(None)
    found = list(page)
    while page.token:
        page = search(page.token)
        found += page
    return found
