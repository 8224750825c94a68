"""Real PostgreSQL and MariaDB servers with Kea's tables, for tests and benchmarks: private, small, and gone at the end.

They run as another user, because they refuse to run as root, and listen on Unix sockets in a folder of their own.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MEMORY = Path('/dev/shm')
SCRIPTS = Path('/usr/share/kea/scripts')


def missing(kind: str) -> str:
    """Why there can be no such server here, '' if there can."""
    if os.geteuid() != 0:
        return 'database servers of tests are started as another user, which needs root'
    if not SCRIPTS.exists():
        return 'kea-admin is not installed'
    if kind == 'postgresql':
        return '' if _postgresql() else 'PostgreSQL is not installed'
    return '' if shutil.which('mariadbd', path='/usr/sbin:/usr/bin') else 'mariadb-server is not installed'


def _postgresql() -> Path | None:
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'))
    return Path(found[-1]).parent if found else None


class Server:
    """One server with one database `kea`.  `start` starts a command (in a namespace, for example)."""

    kind: str
    owner: str

    def __init__(self) -> None:
        # Short, because the path of a Unix socket has at most 107 characters.
        # In memory where there is room: MariaDB waits for the disk at each of the thousand statements of Kea's tables.
        room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 1 << 30
        self.folder = Path(tempfile.mkdtemp(prefix='substruct-', dir=MEMORY if room else None))
        self.data, self.sockets = self.folder / 'data', self.folder
        shutil.chown(self.folder, self.owner, self.owner)
        self.folder.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._make()
            self.run()
            self._fill()
        except BaseException:
            self.close()
            raise

    def run(self) -> None:
        log = (self.folder / 'log').open('ab')
        self.process = subprocess.Popen(self._as_owner(*self._command()), stdout=log, stderr=log)
        log.close()
        _wait(self._answers, lambda: (self.folder / 'log').read_text(errors='replace')[-2000:])

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT if self.kind == 'postgresql' else signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_owner(self, *command: str | Path) -> list[str]:
        user = pwd.getpwnam(self.owner)
        # It ends with the tests, however these end.
        return [
            'setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups', '--pdeathsig', 'KILL',
            *map(str, command),
        ]  # fmt: skip

    def _run(self, *command: str | Path, text: str | None = None) -> str:
        done = subprocess.run(
            self._as_owner(*command), input=text, capture_output=True, text=True, check=False, cwd='/', timeout=120
        )
        assert done.returncode == 0, f'{command}: {done.stdout}{done.stderr}'
        return done.stdout

    def _make(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _fill(self) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def words(self) -> dict[str, Any]:
        """Kea's "hosts-database"."""
        raise NotImplementedError

    @property
    def environment(self) -> Mapping[str, str]:
        """What Kea needs to find it."""
        return {}

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def empty(self) -> None:
        self.execute('DELETE FROM hosts')


class PostgreSql(Server):
    kind = 'postgresql'
    owner = 'postgres'

    def _make(self) -> None:
        binaries = _postgresql()
        assert binaries is not None
        self._run(
            binaries / 'initdb', '-D', self.data, '-U', 'kea', '--auth=trust', '--no-sync', '-E', 'UTF8',
            '--locale=C.UTF-8',
        )  # fmt: skip

    def _command(self) -> list[str]:
        binaries = _postgresql()
        settings = {
            'listen_addresses': '', 'unix_socket_directories': self.sockets, 'fsync': 'off', 'shared_buffers': '64MB',
            'max_wal_size': '512MB',
        }  # fmt: skip
        options = [word for name, value in settings.items() for word in ('-c', f'{name}={value}')]
        return [f'{binaries}/postgres', '-D', str(self.data), *options]

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._url('postgres'), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _fill(self) -> None:
        psql = ['psql', '-q', '-h', str(self.sockets), '-U', 'kea', '-v', 'ON_ERROR_STOP=1']
        self._run(*psql, 'postgres', '-c', 'CREATE DATABASE kea')
        self._run(*psql, 'kea', '-f', SCRIPTS / 'pgsql/dhcpdb_create.pgsql')

    def _url(self, database: str) -> str:
        return f'postgresql://kea@/{database}?host={self.sockets}'

    @property
    def url(self) -> str:
        return self._url('kea')

    @property
    def words(self) -> dict[str, Any]:
        return {'type': 'postgresql', 'name': 'kea', 'user': 'kea', 'host': str(self.sockets)}

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


# Nothing of it needs to survive.
_CARELESS = (
    '--innodb-flush-method=nosync', '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0',
    '--innodb-log-file-size=16M', '--innodb-buffer-pool-size=64M', '--sync-frm=0', '--aria-log-purge-type=immediate',
)  # fmt: skip


class MariaDb(Server):
    kind = 'mysql'
    owner = 'mysql'

    @property
    def socket(self) -> Path:
        return self.sockets / 's'

    def _make(self) -> None:
        self._run(
            'mariadb-install-db', '--no-defaults', f'--datadir={self.data}', '--auth-root-authentication-method=normal',
            '--skip-test-db', *_CARELESS,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            '/usr/sbin/mariadbd', '--no-defaults', f'--datadir={self.data}', f'--socket={self.socket}',
            '--skip-networking', f'--pid-file={self.folder}/pid', '--log-bin-trust-function-creators=1', *_CARELESS,
        ]  # fmt: skip

    def _answers(self) -> bool:
        import pymysql

        try:
            pymysql.connect(unix_socket=str(self.socket), user='root', connect_timeout=2).close()
        except pymysql.MySQLError:
            return False
        return True

    def _fill(self) -> None:
        client = ['mariadb', '--no-defaults', f'--socket={self.socket}', '-u', 'root']
        self._run(*client, '-e', "CREATE DATABASE kea; CREATE USER kea@localhost IDENTIFIED BY 'se cret'; "
                  'GRANT ALL ON kea.* TO kea@localhost')  # fmt: skip
        self._run(*client, 'kea', text=(SCRIPTS / 'mysql/dhcpdb_create.mysql').read_text())

    @property
    def url(self) -> str:
        return f'mysql://kea@localhost/kea?unix_socket={self.socket}'

    @property
    def words(self) -> dict[str, Any]:
        return {'type': 'mysql', 'name': 'kea', 'user': 'kea', 'password': 'se cret', 'host': 'localhost'}

    @property
    def environment(self) -> Mapping[str, str]:
        return {'MYSQL_UNIX_PORT': str(self.socket)}

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        import pymysql

        with (
            pymysql.connect(unix_socket=str(self.socket), user='root', database='kea', autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())


def _wait(condition: Callable[[], bool], said: Callable[[], str], timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)
