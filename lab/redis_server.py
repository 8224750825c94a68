"""A private Redis: a Unix socket, no TCP port, its data in the run folder."""

import shutil
from pathlib import Path

import redis

from lab.errors import LabError
from lab.places import Places
from lab.processes import Identity, Service


def binary() -> str:
    for name in ('redis-server', 'valkey-server'):
        found = shutil.which(name)
        if found:
            return found
    raise LabError('no redis-server or valkey-server was found; run  make bootstrap')


def service(places: Places, persistent: bool) -> Service:
    """`persistent`: queued jobs survive a kill.  Tests do without."""
    folder = places.run / 'redis'
    folder.mkdir(mode=0o700, exist_ok=True)
    command = [binary(), '--port', '0', '--unixsocket', str(places.redis_socket), '--unixsocketperm', '700']
    command += ['--dir', str(folder), '--daemonize', 'no', '--databases', '64', '--save', '']
    command += ['--appendonly', 'yes' if persistent else 'no']

    def ready(_identity: Identity) -> bool:
        return answers(places.redis_socket)

    # Redis writes its title over its environment, so it is known again by its folder.
    return Service(name='redis', command=command, ready=ready, patience=20.0, own_folder=folder)


def connect(socket: Path, database: int = 0) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket), db=database, socket_timeout=5)


def answers(socket: Path) -> bool:
    try:
        with connect(socket) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
