"""How gunicorn runs the lab's NetBox: loaded once, then forked, so that a start costs one import of NetBox."""

from typing import Any

preload_app = True
workers = 2
worker_class = 'gthread'
threads = 4
timeout = 300
# the master waits this long even when its workers have gone at once
graceful_timeout = 1
# gunicorn would put it in the home folder
control_socket_disable = True
worker_tmp_dir = '/dev/shm'  # noqa: S108  # gunicorn's own advice: no disk in the way of its heartbeat


def pre_fork(_server: Any, _worker: Any) -> None:
    """A connection that loading has opened must not be shared between workers."""
    from django.db import connections

    connections.close_all()
