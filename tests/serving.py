"""A database of a test's own with transactions that are really committed, and NetBox really served over it.

They are context managers: tests of the feed want both for one test, those of the pages for a whole module.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def committed_database(django_db_blocker: Any) -> Iterator[None]:
    """Beside the database of the test process, which is left alone; `django_db_setup` must have run."""
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


@contextmanager
def served_netbox() -> Iterator[str]:
    """NetBox with its static files on a free port of loopback, over the present database; gives its URL."""
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    application = StaticFilesHandler(get_wsgi_application())

    def closing(environ, start_response):  # type: ignore[no-untyped-def]
        try:
            return list(application(environ, start_response))
        finally:
            connections.close_all()

    class Server(ThreadedWSGIServer):
        # A browser keeps connections open that it may not use again: they must not keep the test from ending.
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A browser that has what it wanted hangs up in the middle of an answer; that is no error."""

    server = Server(('127.0.0.1', 0), Quiet)
    server.set_app(closing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
