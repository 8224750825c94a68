"""A private PostgreSQL: its own data folder, a Unix socket, no TCP port.

Durability is switched off on purpose.  A killed server still recovers, because what it wrote is in the kernel's page
cache; only a machine that loses power may leave a broken data folder, and that one is rebuilt.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from lab.errors import LabError
from lab.places import Places, database_owner
from lab.processes import Identity, Service, run_as

LOWEST = 15  # NetBox 4.7 needs it
ROLE = 'substruct'

SETTINGS = {
    'listen_addresses': '',
    'unix_socket_permissions': '0700',
    'max_connections': '120',
    'shared_buffers': '192MB',
    'maintenance_work_mem': '128MB',
    'max_wal_size': '1GB',
    'jit': 'off',
    # Only a crash of the machine would lose what is not flushed to disk; a kill of PostgreSQL loses no commit, because
    # each is written before it is answered (synchronous_commit is left on).
    'fsync': 'off',
    'full_page_writes': 'off',
    'wal_level': 'minimal',
    'max_wal_senders': '0',
    'log_min_messages': 'warning',
    'log_line_prefix': '%m %d ',
}


@cache
def binaries() -> Path:
    """The folder of the newest PostgreSQL server that NetBox can use."""

    def major(folder: Path) -> int:
        return int(folder.parent.name) if folder.parent.name.isdigit() else 0

    found = sorted(Path('/usr/lib/postgresql').glob('*/bin'), key=major, reverse=True)
    on_path = shutil.which('postgres')
    if on_path:
        found.append(Path(on_path).resolve().parent)
    for folder in found:
        if (folder / 'postgres').exists() and (folder / 'initdb').exists() and _major(folder) >= LOWEST:
            return folder
    raise LabError(
        f'no PostgreSQL server of version {LOWEST} or newer was found (looked in /usr/lib/postgresql and on PATH); '
        'run  make bootstrap'
    )


@cache
def _version(folder: Path) -> str:
    output = subprocess.run([folder / 'postgres', '--version'], text=True, capture_output=True, check=True).stdout
    found = re.search(r'\(PostgreSQL\) (\S+)', output)
    if found is None:
        raise LabError(f'{folder}/postgres --version says {output!r}, which names no version')
    return found[1]


def _major(folder: Path) -> int:
    return int(re.split(r'\D', _version(folder), maxsplit=1)[0])


def version() -> str:
    """The exact version, such as 15.14."""
    return _version(binaries())


class Cluster:
    """The PostgreSQL of one run folder."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.owner = database_owner()

    @property
    def exists(self) -> bool:
        return (self.places.data / 'PG_VERSION').exists()

    def initialise(self) -> None:
        self.places.data.mkdir(mode=0o700)
        shutil.chown(self.places.data, self.owner.uid, self.owner.gid)
        # trust: the socket stands in a folder that only the owner may enter.
        command = [binaries() / 'initdb', '-D', self.places.data, '-U', ROLE, '-E', 'UTF8', '--locale=C.UTF-8']
        done = run_as(self.owner, [*map(str, command), '--auth=trust', '--no-sync'])
        if done.returncode:
            raise LabError(f'initdb failed in {self.places.data}:\n{done.stdout}{done.stderr}')
        hba = self.places.data / 'pg_hba.conf'
        hba.write_text('# Unix sockets only\nlocal all all trust\n')

    def service(self) -> Service:
        settings = {**SETTINGS, 'unix_socket_directories': str(self.places.database_sockets)}
        command = [str(binaries() / 'postgres'), '-D', str(self.places.data)]
        for name, value in settings.items():
            command += ['-c', f'{name}={value}']
        return Service(
            name='postgresql',
            command=command,
            ready=self._ready,
            owner=self.owner,
            signature=version(),
            patience=90.0,  # recovery after a kill
            # Fast shutdown, then immediate: postgres(1).
            endings=((signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)),
            own_folder=self.places.data,
            before=self._forget_the_dead,
        )

    def _forget_the_dead(self) -> None:
        """Removes the lock files of a server that was killed and is a zombie still.

        PostgreSQL asks with kill(2) whether the process in them lives, and a zombie does until somebody has waited for
        it.
        """
        for lock in (self.places.data / 'postmaster.pid', *self.places.database_sockets.glob('.s.PGSQL.*.lock')):
            try:
                holder = int(lock.read_text().split('\n', 1)[0])
            except (FileNotFoundError, ValueError):
                continue
            if Identity.of(holder) is None:
                lock.unlink()

    def _ready(self, identity: Identity) -> bool:
        try:
            self.query('SELECT 1')
        except psycopg.OperationalError:
            return False
        return True

    # ------------------------------------------------------------------ statements

    def connect(self, database: str = 'postgres') -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.places.database_sockets), user=ROLE, dbname=database, autocommit=True, connect_timeout=10
        )

    def query(
        self, statement: LiteralString | sql.Composed, parameters: Sequence[object] = (), database: str = 'postgres'
    ) -> list[tuple[Any, ...]]:
        with self.connect(database) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> list[str]:
        return [name for (name,) in self.query('SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1')]

    def create(self, name: str, template: str = 'template1') -> None:
        """Copies a database; PostgreSQL makes it whole or not at all."""
        self.query(
            sql.SQL('CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY').format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )

    def drop(self, name: str) -> None:
        self.query(sql.SQL('DROP DATABASE IF EXISTS {} WITH (FORCE)').format(sql.Identifier(name)))

    def rename(self, name: str, to: str) -> None:
        self.query(sql.SQL('ALTER DATABASE {} RENAME TO {}').format(sql.Identifier(name), sql.Identifier(to)))

    def end_connections(self, application: str) -> None:
        """Ends every connection of that application name, and returns when their transactions are gone."""
        found = self.query(
            'SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE application_name = %s', [application]
        )
        if not all(ended for (ended,) in found):
            raise LabError(f'PostgreSQL could not end a connection of {application}; try again')

    def note(self, name: str) -> str:
        """What was noted on a database: it is copied and dropped with it, so it cannot disagree with it."""
        found = self.query("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name])
        return str(found[0][0] or '') if found else ''

    def set_note(self, name: str, note: str) -> None:
        self.query(sql.SQL('COMMENT ON DATABASE {} IS {}').format(sql.Identifier(name), sql.Literal(note)))
