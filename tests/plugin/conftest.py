"""Fixtures for tests that need transactions to be really committed: of the feed, and of things that happen at once.

Such a test gets a database of its own, because inside one transaction it would show nothing.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def committed(django_db_setup, django_db_blocker) -> Iterator[None]:
    from django.db import connection

    from lab.places import Places
    from lab.postgresql import Cluster

    cluster = Cluster(Places(Path(os.environ['SUBSTRUCT_TEST_RUN'])))
    usual = connection.settings_dict['NAME']
    name = f'{usual}_committed'
    connection.close()
    cluster.drop(name)
    cluster.create(name, os.environ['SUBSTRUCT_TEST_TEMPLATE'])
    connection.settings_dict['NAME'] = name
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict['NAME'] = usual
            cluster.drop(name)


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
    from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer
    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    application = get_wsgi_application()

    def closing(environ, start_response):  # type: ignore[no-untyped-def]
        try:
            return list(application(environ, start_response))
        finally:
            connections.close_all()

    server = WSGIServer(('127.0.0.1', 0), Quiet)
    server.set_app(closing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
