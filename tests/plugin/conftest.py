"""Fixtures for tests that need transactions to be really committed: of the feed, and of things that happen at once.

Such a test gets a database of its own, because inside one transaction it would show nothing.
"""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.serving import committed_database, served_netbox


@pytest.fixture
def committed(django_db_setup, django_db_blocker) -> Iterator[None]:
    with committed_database(django_db_blocker):
        yield


@pytest.fixture
def elsewhere(committed) -> Iterator[Callable[..., object]]:
    """Runs a function in another thread, and so on another connection; gives its result or raises its error."""

    def run(function: Callable[[], object]) -> object:
        from django.db import connection

        outcome: dict[str, object] = {}

        def target() -> None:
            try:
                outcome['result'] = function()
            except BaseException as error:
                outcome['error'] = error
            finally:
                connection.close()

        thread = threading.Thread(target=target)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), 'the other connection is stuck'
        if 'error' in outcome:
            raise outcome['error']  # type: ignore[misc]
        return outcome.get('result')

    yield run


@pytest.fixture
def served(committed) -> Iterator[str]:
    """NetBox on a free port of loopback, over the test's own database; gives its URL."""
    with served_netbox() as url:
        yield url


@pytest.fixture
def queues() -> Iterator[None]:
    """The queues of NetBox's worker, empty."""
    from .automation.world import empty_queues  # it needs NetBox's settings, which are loaded after this file

    empty_queues()
    yield
    empty_queues()
