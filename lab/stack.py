"""The lab itself: which services make it, in which order they come up, and what has to be true in between.

Every step looks at what is there and does what is missing, so that a start after a kill at any moment is the same as
any other start.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from lab import netbox, postgresql, redis_server, sidecar, template
from lab.accounts import Accounts
from lab.errors import LabError
from lab.files import write_atomically
from lab.places import Places, run_folder, short_hash
from lab.processes import Identity, Service, Supervisor, tail
from lab.progress import Progress
from lab.rack import rack

DATABASE = 'netbox'
PREFERRED_PORT = 8000
HOST = '127.0.0.1'
PREPARE = 'substruct-prepare'  # how its connections are called in PostgreSQL


@dataclass(frozen=True)
class ServiceStatus:
    name: str
    pid: int | None
    well: bool
    seconds: float


class Lab:
    def __init__(self, places: Places | None = None, progress: Progress | None = None) -> None:
        self.places = places or Places(run_folder())
        self.progress = progress or Progress()
        self.supervisor = Supervisor(self.places)
        self.cluster = postgresql.Cluster(self.places)

    # ------------------------------------------------------------------ what there is

    @property
    def accounts(self) -> Accounts:
        return Accounts.kept(self.places.run / 'accounts.json')

    @property
    def port(self) -> int | None:
        try:
            return int((self.places.run / 'port').read_text())
        except (FileNotFoundError, ValueError):
            return None

    @property
    def url(self) -> str:
        return f'http://{HOST}:{self.port}/'

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that is NetBox in this lab."""
        return {**os.environ, **netbox.environment(self.places)}

    def services(self) -> list[Service]:
        """In the order in which they start."""
        return [
            self.cluster.service(),
            redis_server.service(self.places, persistent=True),
            self._worker(),
            self._web(),
            *([sidecar.service(self.places)] if sidecar.exists(self.places) else []),
        ]

    def start_sidecar(self) -> None:
        """With the settings that `lab.sidecar` has written."""
        with self._alone():
            self._start(lambda: sidecar.service(self.places), usually='2-4 s')

    def _worker(self) -> Service:
        def ready(identity: Identity) -> bool:
            with redis_server.connect(self.places.redis_socket) as client:
                workers = [client.hget(key, 'pid') for key in client.smembers('rq:workers')]
            return str(identity.pid).encode() in workers

        return Service(
            name='worker',
            command=netbox.manage_command(['rqworker', 'high', 'default', 'low']),
            ready=ready,
            environment=netbox.environment(self.places),
            signature=netbox.code(),
            patience=90.0,
        )

    def web_command(self, port: int | None) -> list[str]:
        settings = Path(__file__).with_name('gunicorn_settings.py')
        bind = f'{HOST}:{port}'
        return [sys.executable, '-m', 'gunicorn', '--config', str(settings), '--bind', bind, 'lab.wsgi:application']

    def _web(self) -> Service:
        return Service(
            name='web',
            command=self.web_command(self.port),
            # a refused token is an answer too: it is mended afterwards
            ready=lambda _identity: self.answers() in (200, 401, 403),
            environment=netbox.environment(self.places),
            signature=netbox.code(),
            patience=120.0,
            # SIGINT is gunicorn's quick shutdown; SIGTERM waits for idle keep-alive connections.
            endings=((signal.SIGINT, 8.0), (signal.SIGKILL, 5.0)),
        )

    def answers(self, path: str = 'api/status/') -> int:
        """The status of a request with the lab's token; 0 when nobody answers, or somebody else on the same port."""
        request = urllib.request.Request(self.url + path, headers={'Authorization': f'Bearer {self.accounts.token}'})
        # No proxy between here and here.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as response:
                status, headers = int(response.status), response.headers
        except urllib.error.HTTPError as error:
            status, headers = error.code, error.headers
        except OSError:
            return 0
        return status if headers[netbox.LAB_HEADER] == short_hash(str(self.places.settings)) else 0

    # ------------------------------------------------------------------ up

    def up(self) -> None:
        with self._alone():
            begun = time.monotonic()
            self._storage()
            self._prepare()
            self._serve()
            self.progress.say(f'==> the lab is up after {time.monotonic() - begun:.1f} s')

    def storage(self) -> None:
        """Only PostgreSQL with the lab's database, and Redis."""
        with self._alone():
            self._storage()

    def _storage(self) -> None:
        self.places.make()
        self._settings()
        self._postgresql()
        self._redis()

    def _settings(self) -> None:
        """Secrets are made once; the paths in the file follow the run folder."""
        try:
            kept = netbox.NetBoxSettings.read(self.places.settings)
            secret_key, pepper = kept.secret_key, kept.pepper
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            secret_key, pepper = secrets.token_urlsafe(60), secrets.token_urlsafe(60)
            # A token that was hashed with a lost pepper is of no use.
            (self.places.run / 'accounts.json').unlink(missing_ok=True)
        wanted = netbox.NetBoxSettings(
            database=DATABASE,
            database_sockets=str(self.places.database_sockets),
            redis_socket=str(self.places.redis_socket),
            secret_key=secret_key,
            pepper=pepper,
        )
        wanted.write(self.places.settings)

    def _start(self, *make: Callable[[], Service], usually: str = '') -> None:
        """Starts services at the same time; those that run as wanted are only looked at."""
        services = [each() for each in make]
        records = {service.name: self.supervisor.record(service.name) for service in services}
        due = []
        for service in services:
            record = records[service.name]
            if record is None or record.fingerprint != service.fingerprint:
                due.append(f'{"re" if record else ""}starting {service.name}')
        with ThreadPoolExecutor(max_workers=len(services)) as pool:
            work = pool.map(self.supervisor.up, services)
            if due:
                with self.progress.step(', '.join(due), usually):
                    list(work)
            else:
                list(work)

    def _postgresql(self) -> None:
        if not self.cluster.exists and self.places.data.exists():
            self._set_aside('it holds no database cluster')
        if self.cluster.exists:
            major = (self.places.data / 'PG_VERSION').read_text().strip()
            if major != postgresql.version().split('.')[0]:
                self._set_aside(f'it was made by PostgreSQL {major}, and {postgresql.version()} is installed')
        if not self.cluster.exists:
            template.copy_to(self.places, self.progress)
        try:
            self._start(self.cluster.service)
            self._database()
        except (LabError, psycopg.Error) as error:
            self.supervisor.down(self.cluster.service())
            self._set_aside(f'PostgreSQL does not come up with it:\n{error}')
            template.copy_to(self.places, self.progress)
            self._start(self.cluster.service)
            self._database()

    def _set_aside(self, why: str) -> None:
        """A disposable lab is rebuilt rather than repaired; its last broken data are kept, once."""
        aside = self.places.run / 'postgresql.broken'
        self.progress.say(
            f'The database folder {self.places.data} is of no use: {why}\n'
            f'The lab begins again with an empty NetBox; the old folder is kept as {aside}.'
        )
        shutil.rmtree(aside, ignore_errors=True)
        self.places.data.rename(aside)

    def _database(self) -> None:
        if DATABASE not in self.cluster.databases():
            self.cluster.create(DATABASE, template.DATABASE)

    def is_empty(self) -> bool:
        """Whether NetBox holds no site yet; everything else in a data centre needs one."""
        return self.cluster.query('SELECT 1 FROM dcim_site LIMIT 1', database=DATABASE) == []

    def _redis(self) -> None:
        def make() -> Service:
            return redis_server.service(self.places, persistent=True)

        try:
            self._start(make)
        except LabError as error:
            self.progress.say(f'Redis does not come up with its data, so the queues are emptied:\n{error}')
            shutil.rmtree(self.places.run / 'redis', ignore_errors=True)
            self._start(make)

    def _prepare(self, again: bool = False) -> None:
        """Migrations, accounts and static files: only what has changed since they were last done."""
        wanted = {'migrations': netbox.plugin_migrations(), 'token': self.accounts.token_key}
        try:
            noted = json.loads(self.cluster.note(DATABASE) or '{}')
        except ValueError:
            noted = {}
        marker = self.places.netbox_root / 'static' / '.collected'
        files = netbox.code(netbox.package_folder(netbox.PLUGIN) / 'static')
        due = [
            *(['migrate'] if noted.get('migrations') != wanted['migrations'] else []),
            *(['accounts'] if noted.get('token') != wanted['token'] or again else []),
            *(['static'] if not marker.exists() or marker.read_text() != files else []),
        ]
        if not due:
            return
        words = {'migrate': "the plugin's migrations", 'accounts': 'administrator and token', 'static': 'static files'}
        self._end_left_preparation()
        log = self.places.logs / 'prepare.log'
        what = 'preparing NetBox: ' + ', '.join(words[name] for name in due)
        with log.open('w') as output, self.progress.step(what, '10-25 s'):
            done = subprocess.run(
                [sys.executable, '-m', 'lab.prepare', *due],
                env={**self.environment, **self.supervisor.marked('prepare'), 'PGAPPNAME': PREPARE},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd='/',
            )
        if done.returncode:
            raise LabError(f'NetBox could not be prepared ({" ".join(due)}); the end of {log}:\n{tail(log)}')
        if 'static' in due:
            write_atomically(marker, files)
        self.cluster.set_note(DATABASE, json.dumps(wanted))

    def _end_left_preparation(self) -> None:
        """Two migrations at once would meet: one that a killed `up` has left goes first, with its transaction."""
        self.supervisor.down(Service('prepare', [sys.executable], ready=lambda _identity: True))
        self.cluster.end_connections(PREPARE)

    def _serve(self) -> None:
        """The worker, and the web server on the port it had, on 8000, or on any free one."""
        if not self.supervisor.record('web'):
            # One that was started and never recorded holds the port; it is ours to end.
            self.supervisor.down(self._web())
            self._choose_port()
        for attempt in (1, 2, 3):
            try:
                self._start(self._worker, self._web, usually='10-20 s')
                break
            except LabError:
                # Somebody may have taken the port between looking and binding.
                if attempt == 3 or self.supervisor.record('web') or port_is_free(self.port or 0):
                    raise
                self._choose_port()
        if self.answers() != 200:
            self._prepare(again=True)
        if sidecar.exists(self.places):
            self._start(lambda: sidecar.service(self.places), usually='2-4 s')

    def _choose_port(self) -> None:
        for port in (self.port, PREFERRED_PORT):
            if port and port_is_free(port):
                break
            if port:
                self.progress.say(f'    port {port} is in use by something else; taking another')
        else:
            with socket.socket() as free:
                free.bind((HOST, 0))
                port = free.getsockname()[1]
        write_atomically(self.places.run / 'port', str(port))

    # ------------------------------------------------------------------ down, reset, status

    def _alone(self) -> AbstractContextManager[None]:
        return self.places.lock(lambda: self.progress.say('another lab command is at work here; waiting for it'))

    def down(self) -> None:
        """Stops what runs; the data stay."""
        # Somebody may have removed the folder of what still runs: it is ended all the same.
        was_there = self.places.run.exists()
        with self._alone():
            self._down()
            if not was_there:
                self.places.remove()

    def _down(self) -> None:
        rack.take_down(self.places)
        self.supervisor.down(Service('prepare', [sys.executable], ready=lambda _identity: True))
        services = self.services()
        running = [service.name for service in services if self.supervisor.record(service.name)]

        def stop() -> None:
            users, servers = services[2:], services[:2]  # NetBox's processes before what they are connected to
            for group in (users, servers):
                with ThreadPoolExecutor(max_workers=len(group)) as pool:
                    list(pool.map(self.supervisor.down, group))

        if running:
            with self.progress.step(f'stopping {", ".join(running)}'):
                stop()
        else:
            stop()

    def reset(self) -> None:
        """Stops everything and removes the run folder."""
        with self._alone():
            self._down()
            self.places.remove()

    def status(self) -> list[ServiceStatus]:
        result = []
        for service in self.services() if self.places.settings.exists() else []:
            record = self.supervisor.record(service.name)
            well = False
            if record:
                try:
                    well = service.ready(record.identity)
                except Exception:  # however it fails to answer: that is what a status is asked for
                    well = False
            pid, age = (record.identity.pid, record.identity.age) if record else (None, 0.0)
            result.append(ServiceStatus(service.name, pid, well, age))
        return [*result, *rack.status(self.places)]


def port_is_free(port: int) -> bool:
    """Nobody listens there, on any address."""
    for family, address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):  # noqa: S104
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            # No IPv6 on this machine is not a port in use.
            if family == socket.AF_INET or error.errno == 98:
                return False
    return True
